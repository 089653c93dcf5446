package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// What the bridge network driver keeps: see bridge.Store.

// CreateNetwork inserts the network and its subnets once check has seen every subnet there is.
func (s *Store) CreateNetwork(ctx context.Context, n network.Network, check func(existing []network.Subnet) error) error {
	return s.write(ctx, "create network "+n.ID, func(ctx context.Context, tx *transaction) error {
		if err := tx.checkSubnets(ctx, check); err != nil {
			return err
		}
		row := &networkRow{Network: n}
		row.CreatedAt = tx.orNow(row.CreatedAt)
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
		for _, sub := range n.Subnets {
			sub.NetworkID = n.ID
			if _, err := tx.NewInsert().Model(&subnetRow{Subnet: sub}).Exec(ctx); err != nil {
				return fmt.Errorf("insert subnet %s: %w", sub.ID, err)
			}
		}
		return nil
	})
}

// CreateSubnet inserts one more subnet of an existing network.
func (s *Store) CreateSubnet(ctx context.Context, sub network.Subnet, check func(existing []network.Subnet) error) error {
	return s.write(ctx, "create subnet "+sub.ID, func(ctx context.Context, tx *transaction) error {
		if err := tx.checkSubnets(ctx, check); err != nil {
			return err
		}
		if _, err := readNetwork(ctx, tx, sub.NetworkID, true); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&subnetRow{Subnet: sub}).Exec(ctx)
		return err
	})
}

func (tx *transaction) checkSubnets(ctx context.Context, check func([]network.Subnet) error) error {
	if tx.Dialect().Name() == dialect.PG { // no subnet may be added while check decides
		if _, err := tx.NewRaw("LOCK TABLE subnet IN SHARE ROW EXCLUSIVE MODE").Exec(ctx); err != nil {
			return err
		}
	}
	var rows []subnetRow
	if err := tx.NewSelect().Model(&rows).Order("o.id").Scan(ctx); err != nil {
		return err
	}
	existing := make([]network.Subnet, 0, len(rows))
	for _, r := range rows {
		existing = append(existing, r.Subnet)
	}
	return check(existing)
}

// Networks lists all networks with their subnets, by creation, then id.
func (s *Store) Networks(ctx context.Context) (all []network.Network, err error) {
	err = s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		var networks []networkRow
		if err := tx.NewSelect().Model(&networks).Order("o.created_at", "o.id").Scan(ctx); err != nil {
			return err
		}
		var subnets []subnetRow
		if err := tx.NewSelect().Model(&subnets).Order("o.id").Scan(ctx); err != nil {
			return err
		}
		of := map[string][]network.Subnet{}
		for _, sub := range subnets {
			of[sub.NetworkID] = append(of[sub.NetworkID], sub.Subnet)
		}
		all = make([]network.Network, 0, len(networks))
		for _, n := range networks {
			n.Subnets = of[n.ID]
			all = append(all, n.Network)
		}
		return nil
	})
	if err != nil {
		return nil, explain("list networks", err)
	}
	return all, nil
}

// Network reads one network with its subnets.
func (s *Store) Network(ctx context.Context, id string) (n network.Network, err error) {
	err = s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		if n, err = readNetwork(ctx, tx, id, false); err != nil {
			return err
		}
		var subnets []subnetRow
		if err := tx.NewSelect().Model(&subnets).Where("o.network_id = ?", id).Order("o.id").Scan(ctx); err != nil {
			return err
		}
		for _, sub := range subnets {
			n.Subnets = append(n.Subnets, sub.Subnet)
		}
		return nil
	})
	if err != nil {
		return network.Network{}, explain("read network "+id, err)
	}
	return n, nil
}

func readNetwork(ctx context.Context, tx bun.IDB, id string, forUpdate bool) (network.Network, error) {
	var row networkRow
	q := tx.NewSelect().Model(&row).Where("o.id = ?", id)
	if forUpdate {
		q = lock(q)
	}
	if err := q.Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return network.Network{}, lb.Faultf(lb.KindNotFound, "Network %s not found.", id)
	} else if err != nil {
		return network.Network{}, err
	}
	return row.Network, nil
}

// Subnet reads one subnet.
func (s *Store) Subnet(ctx context.Context, id string) (sub network.Subnet, err error) {
	err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		sub, err = readSubnet(ctx, db, id)
		return err
	})
	if err != nil {
		return network.Subnet{}, explain("read subnet "+id, err)
	}
	return sub, nil
}

func readSubnet(ctx context.Context, tx bun.IDB, id string) (network.Subnet, error) {
	var row subnetRow
	if err := tx.NewSelect().Model(&row).Where("o.id = ?", id).Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return network.Subnet{}, lb.Faultf(lb.KindNotFound, "Subnet %s not found.", id)
	} else if err != nil {
		return network.Subnet{}, err
	}
	return row.Subnet, nil
}

// DeleteNetwork removes the network and its subnets; a conflict while it has ports.
func (s *Store) DeleteNetwork(ctx context.Context, id string) error {
	return s.write(ctx, "delete network "+id, func(ctx context.Context, tx *transaction) error {
		if _, err := readNetwork(ctx, tx, id, true); err != nil {
			return err
		}
		if err := tx.unused(ctx, "Network", "network_id", id); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*subnetRow)(nil)).Where("network_id = ?", id).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*networkRow)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}

// DeleteSubnet removes a subnet; a conflict while it has ports.
func (s *Store) DeleteSubnet(ctx context.Context, id string) error {
	return s.write(ctx, "delete subnet "+id, func(ctx context.Context, tx *transaction) error {
		sub, err := readSubnet(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := readNetwork(ctx, tx, sub.NetworkID, true); err != nil {
			return err
		}
		if err := tx.unused(ctx, "Subnet", "subnet_id", id); err != nil {
			return err
		}
		_, err = tx.NewDelete().Model((*subnetRow)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}

func (tx *transaction) unused(ctx context.Context, kind, column, id string) error {
	ports, err := tx.NewSelect().Model((*portRow)(nil)).Where("o."+column+" = ?", id).Count(ctx)
	if err == nil && ports > 0 {
		err = lb.Faultf(lb.KindConflict, "%s %s has %d ports in use.", kind, id, ports)
	}
	return err
}

// InsertPort returns the port with p.ID if there is one, else inserts it where choose says.
func (s *Store) InsertPort(ctx context.Context, p network.Port, choose func(taken map[string]bool) (subnetID, address string, err error)) (port network.Port, err error) {
	err = s.write(ctx, "insert port "+p.ID, func(ctx context.Context, tx *transaction) error {
		port, err = tx.insertPort(ctx, p, choose)
		return err
	})
	if err != nil {
		return network.Port{}, err
	}
	return port, nil
}

func (tx *transaction) insertPort(ctx context.Context, p network.Port, choose func(taken map[string]bool) (subnetID, address string, err error)) (network.Port, error) {
	if port, err := readPort(ctx, tx, p.ID); err == nil || lb.KindOf(err) != lb.KindNotFound {
		return port, err
	}
	if _, err := readNetwork(ctx, tx, p.NetworkID, true); err != nil {
		return network.Port{}, err
	}
	// Again, now that nobody else inserts on this network.
	if port, err := readPort(ctx, tx, p.ID); err == nil || lb.KindOf(err) != lb.KindNotFound {
		return port, err
	}
	var addresses []string
	err := tx.NewSelect().Model((*portRow)(nil)).Column("o.ip_address").Where("o.network_id = ?", p.NetworkID).Scan(ctx, &addresses)
	if err != nil {
		return network.Port{}, err
	}
	taken := make(map[string]bool, len(addresses))
	for _, a := range addresses {
		taken[a] = true
	}
	row := &portRow{Port: p}
	if row.SubnetID, row.Address, err = choose(taken); err != nil {
		return network.Port{}, err
	}
	if taken[row.Address] {
		return network.Port{}, lb.Faultf(lb.KindConflict, "IP address %s is already in use on network %s.", row.Address, p.NetworkID)
	}
	if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
		return network.Port{}, err
	}
	return readPort(ctx, tx, p.ID)
}

// fullPort is a port with what the API and the drivers also want to know of its subnet and network.
type fullPort struct {
	bun.BaseModel `bun:"table:port,alias:o"`
	network.Port
	FullCIDR    string `bun:"full_cidr,scanonly"`
	FullGateway string `bun:"full_gateway,scanonly"`
	FullMTU     int    `bun:"full_mtu,scanonly"`
}

func selectPorts(tx bun.IDB, dest any) *bun.SelectQuery {
	return tx.NewSelect().Model(dest).ColumnExpr("o.*, s.cidr AS full_cidr, s.gateway_ip AS full_gateway, n.mtu AS full_mtu").
		Join("JOIN subnet AS s ON s.id = o.subnet_id").Join("JOIN network AS n ON n.id = o.network_id")
}

func (f fullPort) port() network.Port {
	f.CIDR, f.Gateway, f.MTU = f.FullCIDR, f.FullGateway, f.FullMTU
	return f.Port
}

func readPort(ctx context.Context, tx bun.IDB, id string) (network.Port, error) {
	var row fullPort
	if err := selectPorts(tx, &row).Where("o.id = ?", id).Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return network.Port{}, lb.Faultf(lb.KindNotFound, "Port %s not found.", id)
	} else if err != nil {
		return network.Port{}, err
	}
	return row.port(), nil
}

// Port reads one port.
func (s *Store) Port(ctx context.Context, id string) (p network.Port, err error) {
	err = s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		p, err = readPort(ctx, db, id)
		return err
	})
	if err != nil {
		return network.Port{}, explain("read port "+id, err)
	}
	return p, nil
}

// Ports lists the ports of this owner ("" for all), by id.
func (s *Store) Ports(ctx context.Context, ownerID string) ([]network.Port, error) {
	var rows []fullPort
	err := s.read(ctx, func(ctx context.Context, db bun.IDB) error {
		q := selectPorts(db, &rows).Order("o.id")
		if ownerID != "" {
			q = q.Where("o.owner_id = ?", ownerID)
		}
		return q.Scan(ctx)
	})
	if err != nil {
		return nil, explain("list ports", err)
	}
	ports := make([]network.Port, 0, len(rows))
	for _, r := range rows {
		ports = append(ports, r.port())
	}
	return ports, nil
}

// DeletePort removes a port; one that is gone is no error. A floating IP that stood for it stands for nothing then.
func (s *Store) DeletePort(ctx context.Context, id string) error {
	return s.write(ctx, "delete port "+id, func(ctx context.Context, tx *transaction) error {
		_, err := tx.NewUpdate().Model((*floatingIPRow)(nil)).Set("port_id = NULL").Set("updated_at = ?", tx.now).Where("port_id = ?", id).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewDelete().Model((*portRow)(nil)).Where("id = ?", id).Exec(ctx)
		return err
	})
}
