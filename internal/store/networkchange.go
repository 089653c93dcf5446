package store

import (
	"context"
	"database/sql"
	"errors"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// UpdateNetwork lets change modify a network, but for its id and subnets; nothing is written when it returns an error.
func (s *Store) UpdateNetwork(ctx context.Context, id string, change func(*network.Network) error) (network.Network, error) {
	err := s.write(ctx, "update network "+id, func(ctx context.Context, tx *transaction) error {
		n, err := readNetwork(ctx, tx, id, true)
		if err != nil {
			return err
		}
		if err := change(&n); err != nil {
			return err
		}
		n.ID = id
		_, err = tx.NewUpdate().Model(&networkRow{Network: n}).WherePK().Exec(ctx)
		return err
	})
	if err != nil {
		return network.Network{}, err
	}
	return s.Network(ctx, id)
}

// UpdateSubnet lets change modify a subnet, but for its id and network; addresses are those in use on it.
func (s *Store) UpdateSubnet(ctx context.Context, id string, change func(sub *network.Subnet, addresses []string) error) (out network.Subnet, err error) {
	err = s.write(ctx, "update subnet "+id, func(ctx context.Context, tx *transaction) error {
		sub, err := readSubnet(ctx, tx, id)
		if err != nil {
			return err
		}
		networkID := sub.NetworkID
		if _, err := readNetwork(ctx, tx, networkID, true); err != nil { // no port is made meanwhile
			return err
		}
		if sub, err = readSubnet(ctx, tx, id); err != nil {
			return err
		}
		var addresses []string
		if err := tx.NewSelect().Model((*portRow)(nil)).Column("o.ip_address").Where("o.subnet_id = ?", id).Scan(ctx, &addresses); err != nil {
			return err
		}
		if err := change(&sub, addresses); err != nil {
			return err
		}
		sub.ID, sub.NetworkID = id, networkID
		out = sub
		_, err = tx.NewUpdate().Model(&subnetRow{Subnet: sub}).WherePK().Exec(ctx)
		return err
	})
	if err != nil {
		return network.Subnet{}, err
	}
	return out, nil
}

// UpdatePort lets change modify a port, but for its id, network, subnet and addresses.
func (s *Store) UpdatePort(ctx context.Context, id string, change func(*network.Port) error) (port network.Port, err error) {
	err = s.write(ctx, "update port "+id, func(ctx context.Context, tx *transaction) error {
		if err := tx.lockPort(ctx, id); err != nil {
			return err
		}
		if port, err = readPort(ctx, tx, id); err != nil {
			return err
		}
		before := port
		if err := change(&port); err != nil {
			return err
		}
		port.ID, port.NetworkID, port.SubnetID, port.MAC, port.Address = before.ID, before.NetworkID, before.SubnetID, before.MAC, before.Address
		_, err = tx.NewUpdate().Model(&portRow{Port: port}).WherePK().Exec(ctx)
		return err
	})
	if err != nil {
		return network.Port{}, err
	}
	return port, nil
}

// lockPort has the port stay as it is until the transaction ends.
func (tx *transaction) lockPort(ctx context.Context, id string) error {
	var row portRow
	if err := lock(tx.NewSelect().Model(&row).Where("o.id = ?", id)).Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return lb.Faultf(lb.KindNotFound, "Port %s not found.", id)
	} else if err != nil {
		return err
	}
	return nil
}
