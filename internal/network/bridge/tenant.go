package bridge

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
)

// What tenants' machines may be called, the namespaces they are and the devices in them: nothing that leads out of a
// directory, out of a rule or out of a line.
var (
	machineName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	interfaceName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,14}$`)
	// ownNamespace are those of any control plane and of its instances.
	ownNamespace = regexp.MustCompile(`^cn[0-9a-f]{6}-(switch|gateway|mgmt|probe|[ad]-.*)$`)
)

// DefaultInterface is the device of a tenant port that names none.
const DefaultInterface = "eth0"

// machineOwner begins the owner of tenant ports, so that no id of a load balancer or an instance is ever one.
const machineOwner = "machine "

func checkTenant(spec network.PortSpec) error {
	switch {
	case spec.Name != "" && !machineName.MatchString(spec.Name):
		return lb.InvalidField("name", spec.Name, "Value should match the pattern "+machineName.String())
	case spec.Namespace != "" && !machineName.MatchString(spec.Namespace):
		return lb.InvalidField("namespace", spec.Namespace, "Value should match the pattern "+machineName.String())
	case ownNamespace.MatchString(spec.Namespace):
		return lb.InvalidField("namespace", spec.Namespace, "Value should not be a namespace of the load balancing service")
	case spec.Interface != "" && (!interfaceName.MatchString(spec.Interface) || strings.HasPrefix(spec.Interface, "lo") && len(spec.Interface) == 2):
		return lb.InvalidField("interface", spec.Interface, "Value should match the pattern "+interfaceName.String()+" and not be lo")
	case spec.Interface != "" && spec.Namespace == "":
		return lb.InvalidField("interface", spec.Interface, "Value should come with a namespace")
	case spec.Namespace != "" && !linuxnet.NamespaceExists(linuxnet.Path(spec.Namespace)):
		return lb.Faultf(lb.KindInvalid, "There is no network namespace %s in %s.", spec.Namespace, linuxnet.RunDir)
	}
	return nil
}

// CreateTenantPort puts a machine of a tenant on a network: it takes an address and, with a namespace, plugs it in there.
func (d *Driver) CreateTenantPort(ctx context.Context, spec network.PortSpec) (network.Port, error) {
	if err := checkTenant(spec); err != nil {
		return network.Port{}, err
	}
	if spec.ID == "" {
		spec.ID = uuid.NewString()
	}
	if spec.Namespace != "" && spec.Interface == "" {
		spec.Interface = DefaultInterface
	}
	spec.Purpose, spec.OwnerID = network.PurposeTenant, machineOwner+spec.Name
	if err := d.interfaceFree(spec); err != nil {
		return network.Port{}, err
	}
	p, err := d.EnsurePort(ctx, spec)
	if err != nil || spec.Namespace == "" {
		return p, err
	}
	if err := d.PlugNamespace(ctx, p.ID, linuxnet.Path(p.Namespace), p.Interface); err != nil {
		// No address is taken for a machine that is not there.
		return network.Port{}, firstOf(err, d.DeletePort(context.WithoutCancel(ctx), p.ID))
	}
	p.Plugged = true
	return p, nil
}

// CreatePort takes an address for a port of a tenant that is nobody's device yet. Its name may be any text.
func (d *Driver) CreatePort(ctx context.Context, spec network.PortSpec) (network.Port, error) {
	if spec.ID == "" {
		spec.ID = uuid.NewString()
	}
	spec.Purpose, spec.OwnerID, spec.Namespace, spec.Interface = network.PurposeTenant, machineOwner+spec.Name, "", ""
	return d.EnsurePort(ctx, spec)
}

// interfaceFree refuses a device that the namespace has already.
func (d *Driver) interfaceFree(spec network.PortSpec) error {
	if spec.Namespace == "" {
		return nil
	}
	h, err := linuxnet.Open(linuxnet.Path(spec.Namespace))
	if err != nil {
		return err
	}
	defer h.Close()
	switch _, err := h.Link(spec.Interface); {
	case err == nil:
		return lb.Faultf(lb.KindConflict, "Namespace %s has an interface %s already.", spec.Namespace, spec.Interface)
	case !errors.Is(err, linuxnet.ErrNotFound):
		return err
	}
	return nil
}

// AllPorts lists all ports but agents', with what is plugged in.
func (d *Driver) AllPorts(ctx context.Context) ([]network.Port, error) {
	all, err := d.cfg.Store.Ports(ctx, "")
	if err != nil {
		return nil, err
	}
	plugged, err := d.pluggedLinks()
	if err != nil {
		return nil, err
	}
	out := []network.Port{}
	for _, p := range all {
		if p.Purpose != network.PurposeManagement {
			p.Plugged = plugged[portLink(p.ID)]
			out = append(out, p)
		}
	}
	return out, nil
}

// pluggedLinks are the devices of the switch.
func (d *Driver) pluggedLinks() (map[string]bool, error) {
	out := map[string]bool{}
	sw, err := linuxnet.Open(linuxnet.Path(d.switchNS()))
	if errors.Is(err, linuxnet.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	defer sw.Close()
	links, err := sw.Links()
	for _, l := range links {
		out[l.Name] = true
	}
	return out, err
}

// TenantPorts lists the ports of tenants' machines.
func (d *Driver) TenantPorts(ctx context.Context) ([]network.Port, error) {
	all, err := d.AllPorts(ctx)
	return slices.DeleteFunc(all, func(p network.Port) bool { return p.Purpose != network.PurposeTenant }), err
}

// TenantPort reads one; other ports are not there.
func (d *Driver) TenantPort(ctx context.Context, id string) (network.Port, error) {
	p, err := d.cfg.Store.Port(ctx, id)
	if err == nil && p.Purpose != network.PurposeTenant {
		err = lb.Faultf(lb.KindNotFound, "Port %s not found.", id)
	}
	if err != nil {
		return network.Port{}, err
	}
	p.Plugged, err = d.Plugged(id)
	return p, err
}

// DeleteTenantPort unplugs a machine and gives its address back.
func (d *Driver) DeleteTenantPort(ctx context.Context, id string) error {
	if _, err := d.TenantPort(ctx, id); err != nil {
		return err
	}
	return d.DeletePort(ctx, id)
}

// plugTenants plugs those machines in anew whose device is gone, with the machine's last start or our `down`, and whose
// namespace is there. One that cannot be plugged in keeps nobody else from working.
func (d *Driver) plugTenants(ctx context.Context, sw *linuxnet.Handle, ports []network.Port) {
	for _, p := range ports {
		if p.Purpose != network.PurposeTenant || p.Namespace == "" {
			continue
		}
		_, err := sw.Link(portLink(p.ID))
		if err == nil {
			continue
		}
		if errors.Is(err, linuxnet.ErrNotFound) {
			if path := linuxnet.Path(p.Namespace); linuxnet.NamespaceExists(path) {
				err = d.plug(ctx, p, path, p.Interface)
			} else {
				err = fmt.Errorf("plug port: %w", linuxnet.ErrNoNamespace)
			}
		}
		if err != nil {
			d.cfg.Log.WarnContext(ctx, "machine of a tenant is not plugged in", "port_id", p.ID, "namespace", p.Namespace, "error", err)
		}
	}
}
