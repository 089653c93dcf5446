package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
)

// Defaults of Config.
var (
	DefaultManagement = netip.MustParsePrefix("198.19.0.0/18")
	DefaultHostLink   = netip.MustParsePrefix("198.19.255.252/30")
)

// DefaultHeartbeatPort is where a health role listens in the management namespace.
const DefaultHeartbeatPort = 9444

const defaultMTU = 1500

// Config of the driver. Prefix, StateDir and Store are mandatory.
type Config struct {
	Prefix         string // PrefixFor(StateDir)
	StateDir       string // remembers here what of the machine has to be put back
	Store          Store  // may be nil for Unplug and Remove alone: taking everything away needs no rows
	Management     netip.Prefix
	HostLink       netip.Prefix // a /30: the host's address, the gateway's
	HeartbeatPorts []int        // one for each health role there may be
	RunDir         string       // "/run": where network services and their drop-in files are looked for
	Log            *slog.Logger
	Now            func() time.Time
}

// Driver is network.Driver and network.Management over Linux bridges. Call Ensure before anything that touches the kernel.
type Driver struct {
	cfg Config
	mu  sync.Mutex // see exclusive
}

var (
	_ network.Driver     = (*Driver)(nil)
	_ network.Management = (*Driver)(nil)
)

// New checks the configuration; it touches nothing.
func New(cfg Config) (*Driver, error) {
	if !cfg.Management.IsValid() {
		cfg.Management = DefaultManagement
	}
	if !cfg.HostLink.IsValid() {
		cfg.HostLink = DefaultHostLink
	}
	if len(cfg.HeartbeatPorts) == 0 {
		cfg.HeartbeatPorts = []int{DefaultHeartbeatPort}
	}
	if cfg.RunDir == "" {
		cfg.RunDir = "/run"
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Prefix == "" || len(cfg.Prefix) > 15 || cfg.StateDir == "" {
		return nil, fmt.Errorf("bridge driver: prefix %q (1 to 15 characters) and state directory %q are mandatory", cfg.Prefix, cfg.StateDir)
	}
	if cfg.HostLink != cfg.HostLink.Masked() || cfg.HostLink.Bits() != 30 || !cfg.HostLink.Addr().Is4() {
		return nil, fmt.Errorf("bridge driver: host link %s is not an IPv4 /30", cfg.HostLink)
	}
	if cfg.Management.Overlaps(cfg.HostLink) {
		return nil, fmt.Errorf("bridge driver: host link %s lies in the management network %s", cfg.HostLink, cfg.Management)
	}
	if _, err := completeSubnet(managementSubnet(cfg.Management)); err != nil {
		return nil, fmt.Errorf("bridge driver: management network: %w", err)
	}
	return &Driver{cfg: cfg}, nil
}

// Probe says what is missing on this machine.
func (d *Driver) Probe(ctx context.Context) error {
	unsupported := func(needs string) error {
		return lb.Faultf(lb.KindUnsupported, "network driver bridge is unsupported here: needs %s", needs)
	}
	if os.Geteuid() != 0 {
		return unsupported("root")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		return unsupported("the nft command (Debian package nftables)")
	}
	scratch := d.cfg.Prefix + "-probe"
	if err := d.shareRunDir(); err != nil {
		return err
	}
	defer func() {
		if err := linuxnet.DeleteNamespace(scratch); err != nil {
			d.cfg.Log.WarnContext(ctx, "probe namespace stays", "namespace", scratch, "error", err)
		}
	}()
	if _, err := linuxnet.EnsureNamespace(scratch); err != nil {
		return unsupported("network namespaces: " + err.Error())
	}
	h, err := linuxnet.Open(linuxnet.Path(scratch))
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.EnsureBridge("b", nil, 0); err != nil {
		return unsupported("bridges in the kernel: " + err.Error())
	}
	if err := h.AddVeth(linuxnet.VethEnd{Name: "l"}, linuxnet.VethEnd{Name: "r"}, ""); err != nil {
		return unsupported("veth in the kernel: " + err.Error())
	}
	if err := linuxnet.Nft(ctx, h.NamespacePath(), switchTable+gatewayTable+floatingTable(nil)); err != nil {
		return unsupported("nftables with bridge tables in the kernel: " + err.Error())
	}
	return nil
}

// Subnet looks a subnet up.
func (d *Driver) Subnet(ctx context.Context, id string) (network.Subnet, error) {
	return d.cfg.Store.Subnet(ctx, id)
}

// Network looks a network up, with its subnets.
func (d *Driver) Network(ctx context.Context, id string) (network.Network, error) {
	return d.cfg.Store.Network(ctx, id)
}

// Networks lists all networks but the management network.
func (d *Driver) Networks(ctx context.Context) ([]network.Network, error) {
	all, err := d.cfg.Store.Networks(ctx)
	if err != nil {
		return nil, err
	}
	out := []network.Network{}
	for _, n := range all {
		if n.ID != ManagementNetworkID {
			out = append(out, n)
		}
	}
	return out, nil
}

// Port looks a port up.
func (d *Driver) Port(ctx context.Context, id string) (network.Port, error) {
	return d.cfg.Store.Port(ctx, id)
}

// Ports lists ports by owner.
func (d *Driver) Ports(ctx context.Context, ownerID string) ([]network.Port, error) {
	return d.cfg.Store.Ports(ctx, ownerID)
}

// EnsurePort makes the port's row exist; PlugNamespace makes it a device.
func (d *Driver) EnsurePort(ctx context.Context, spec network.PortSpec) (network.Port, error) {
	switch spec.Purpose {
	case network.PurposeManagement:
		if spec.NetworkID == "" {
			spec.NetworkID = ManagementNetworkID
		}
	case network.PurposeVIP, network.PurposeFrontEnd, network.PurposeBackEnd, network.PurposeTenant:
	default:
		return network.Port{}, lb.Faultf(lb.KindInvalid, "port purpose %q is not known", spec.Purpose)
	}
	if spec.ID == "" {
		return network.Port{}, lb.Faultf(lb.KindInvalid, "a port needs an id")
	}
	if spec.NetworkID == "" {
		s, err := d.cfg.Store.Subnet(ctx, spec.SubnetID)
		if err != nil {
			return network.Port{}, err
		}
		spec.NetworkID = s.NetworkID
	}
	if (spec.NetworkID == ManagementNetworkID) != (spec.Purpose == network.PurposeManagement) {
		return network.Port{}, lb.Faultf(lb.KindInvalid, "network %s is not for %s ports", spec.NetworkID, spec.Purpose)
	}
	n, err := d.cfg.Store.Network(ctx, spec.NetworkID)
	if err != nil {
		return network.Port{}, err
	}
	p := network.Port{
		ID: spec.ID, NetworkID: spec.NetworkID, MAC: macOf("port", spec.ID).String(), Purpose: spec.Purpose,
		OwnerID: spec.OwnerID, ProjectID: spec.ProjectID, Name: spec.Name, Namespace: spec.Namespace, Interface: spec.Interface,
		Description: spec.Description, DeviceID: spec.DeviceID, DeviceOwner: spec.DeviceOwner,
	}
	return d.cfg.Store.InsertPort(ctx, p, func(taken map[string]bool) (string, string, error) {
		return chooseAddress(spec, n.Subnets, taken)
	})
}

// DeletePort unplugs the port and gives its address back.
func (d *Driver) DeletePort(ctx context.Context, id string) error {
	p, err := d.cfg.Store.Port(ctx, id)
	if err != nil && !isNotFound(err) {
		return err
	}
	if err := d.Unplug(ctx, id); err != nil {
		return err
	}
	switch p.Purpose {
	case network.PurposeFloating:
		return lb.Faultf(lb.KindConflict, "Port %s holds the address of a floating IP: delete that.", id)
	case network.PurposeVIP, network.PurposeTenant:
		// No floating IP leads to the address when somebody else gets it.
		if err := d.translate(ctx, id); err != nil {
			return err
		}
	}
	return d.cfg.Store.DeletePort(ctx, id)
}

// CreateNetwork checks, writes and realizes a network with its subnets. Empty ids are filled in; a subnet's GatewayIP ""
// is its first address, network.NoGateway none; an empty pool is all that is left.
func (d *Driver) CreateNetwork(ctx context.Context, n network.Network) (network.Network, error) {
	if n.ID == "" {
		n.ID = uuid.NewString()
	}
	if n.MTU == 0 {
		n.MTU = defaultMTU
	}
	if n.MTU < 1280 || n.MTU > 65535 {
		return n, lb.Faultf(lb.KindInvalid, "mtu %d is not between 1280 and 65535", n.MTU)
	}
	if n.CreatedAt.IsZero() {
		n.CreatedAt = d.cfg.Now().UTC()
	}
	given := n.Subnets
	n.Subnets = nil
	for _, s := range given {
		s.NetworkID = n.ID
		s, err := d.checkSubnet(n, s)
		if err != nil {
			return n, err
		}
		n.Subnets = append(n.Subnets, s)
	}
	check := func(existing []network.Subnet) error {
		for _, s := range n.Subnets {
			if err := checkOverlap(s, existing); err != nil {
				return err
			}
		}
		return nil
	}
	if err := d.cfg.Store.CreateNetwork(ctx, n, check); err != nil {
		return n, err
	}
	release, err := d.exclusive()
	if err != nil {
		return n, err
	}
	defer release()
	if err := d.realizeNetwork(n); err != nil {
		// The row goes again, so that no network stands that cannot carry a frame.
		return n, fmt.Errorf("create network %s: %w", n.ID, firstOf(err, d.dropNetwork(n), d.cfg.Store.DeleteNetwork(ctx, n.ID)))
	}
	return n, nil
}

// DeleteNetwork removes a network without ports.
func (d *Driver) DeleteNetwork(ctx context.Context, id string) error {
	if id == ManagementNetworkID {
		return lb.Faultf(lb.KindForbidden, "the management network cannot be deleted")
	}
	n, err := d.cfg.Store.Network(ctx, id)
	if err != nil {
		return err
	}
	if err := d.cfg.Store.DeleteNetwork(ctx, id); err != nil {
		return err
	}
	release, err := d.exclusive()
	if err != nil {
		return err
	}
	defer release()
	return d.dropNetwork(n)
}

// CreateSubnet adds a subnet to a network.
func (d *Driver) CreateSubnet(ctx context.Context, s network.Subnet) (network.Subnet, error) {
	if s.NetworkID == ManagementNetworkID {
		return s, lb.Faultf(lb.KindForbidden, "the management network takes no further subnets")
	}
	n, err := d.cfg.Store.Network(ctx, s.NetworkID)
	if err != nil {
		return s, err
	}
	if s, err = d.checkSubnet(n, s); err != nil {
		return s, err
	}
	err = d.cfg.Store.CreateSubnet(ctx, s, func(existing []network.Subnet) error { return checkOverlap(s, existing) })
	if err != nil {
		return s, err
	}
	if n, err = d.cfg.Store.Network(ctx, s.NetworkID); err != nil {
		return s, err
	}
	release, err := d.exclusive()
	if err != nil {
		return s, err
	}
	defer release()
	if err := d.realizeNetwork(n); err != nil {
		return s, fmt.Errorf("create subnet %s: %w", s.ID, firstOf(err, d.dropSubnet(s), d.cfg.Store.DeleteSubnet(ctx, s.ID)))
	}
	return s, nil
}

// DeleteSubnet removes a subnet without ports.
func (d *Driver) DeleteSubnet(ctx context.Context, id string) error {
	s, err := d.cfg.Store.Subnet(ctx, id)
	if err != nil {
		return err
	}
	if s.NetworkID == ManagementNetworkID {
		return lb.Faultf(lb.KindForbidden, "the management network's subnet cannot be deleted")
	}
	if err := d.cfg.Store.DeleteSubnet(ctx, id); err != nil {
		return err
	}
	release, err := d.exclusive()
	if err != nil {
		return err
	}
	defer release()
	return d.dropSubnet(s)
}

// checkSubnet completes a subnet and holds it against its siblings, our own ranges, and the host's and the gateway's routes.
func (d *Driver) checkSubnet(n network.Network, s network.Subnet) (network.Subnet, error) {
	if s.ID == "" {
		s.ID = uuid.NewString()
	}
	s, err := completeSubnet(s)
	if err != nil {
		return s, err
	}
	if err := checkOverlap(s, n.Subnets); err != nil {
		return s, err
	}
	cidr := netip.MustParsePrefix(s.CIDR)
	for what, own := range map[string]netip.Prefix{"the management network": d.cfg.Management, "the host link": d.cfg.HostLink} {
		if own.Overlaps(cidr) {
			return s, lb.Faultf(lb.KindConflict, "subnet %s overlaps %s %s", cidr, what, own)
		}
	}
	if !routed(n, s) {
		return s, nil // it may lie on the very segment of an uplink
	}
	if err := d.checkUplinks(cidr); err != nil || n.Isolated {
		return s, err
	}
	return s, d.checkHostRoutes(cidr)
}

// routed reports whether the gateway has a route to the subnet.
func routed(n network.Network, s network.Subnet) bool {
	return n.ID != ManagementNetworkID && s.GatewayIP != ""
}

func managementSubnet(cidr netip.Prefix) network.Subnet {
	return network.Subnet{ID: ManagementNetworkID, NetworkID: ManagementNetworkID, Name: "management", CIDR: cidr.String()}
}

// DialContext dials an agent from inside the management namespace.
func (d *Driver) DialContext(ctx context.Context, netw, addr string) (net.Conn, error) {
	return linuxnet.DialContext(ctx, linuxnet.Path(d.managementNS()), netw, addr)
}

// HeartbeatTargets are the addresses of all health roles there may be: agents send to each.
func (d *Driver) HeartbeatTargets() []string {
	var targets []string
	for _, port := range d.cfg.HeartbeatPorts {
		targets = append(targets, netip.AddrPortFrom(d.cfg.Management.Addr().Next(), uint16(port)).String())
	}
	return targets
}

// ListenHeartbeats opens a health role's socket in the management namespace, at the first of the targets where no other
// health role listens.
func (d *Driver) ListenHeartbeats(ctx context.Context) (net.PacketConn, string, error) {
	targets := d.HeartbeatTargets()
	for _, addr := range targets {
		pc, err := linuxnet.ListenPacket(ctx, linuxnet.Path(d.managementNS()), "udp4", addr)
		if err == nil || !errors.Is(err, unix.EADDRINUSE) {
			return pc, addr, err
		}
	}
	return nil, "", lb.Faultf(lb.KindConflict, "a health role listens at each of %s already: health.heartbeat_ports names more", strings.Join(targets, ", "))
}

// firstOf keeps the error that matters and mentions those of taking back.
func firstOf(err error, others ...error) error {
	for _, o := range others {
		if o != nil {
			err = fmt.Errorf("%w (and taking back: %w)", err, o)
		}
	}
	return err
}
