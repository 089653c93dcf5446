package lb

import "time"

// OfferKind says what an offer is a choice of; it is also the name of its table.
type OfferKind string

// Kinds of offers. A profile's table has the same name with "_profile" behind.
const (
	OfferFlavor OfferKind = "flavor"
	OfferZone   OfferKind = "availability_zone"
)

// Offer is a flavor or an availability zone: something that an operator made for tenants to choose by name. What it
// means is written in its profile, which tenants do not see.
type Offer struct {
	ID          string    `bun:"id,pk"` // of an availability zone: its name
	Name        string    `bun:"name"`
	Description string    `bun:"description"`
	Enabled     bool      `bun:"enabled"` // a disabled one is not for new load balancers
	ProfileID   string    `bun:"profile_id"`
	CreatedAt   time.Time `bun:"created_at"`
}

// OfferProfile is what an offer means to a provider.
type OfferProfile struct {
	ID           string    `bun:"id,pk"`
	Name         string    `bun:"name"`
	ProviderName string    `bun:"provider_name"`
	Data         string    `bun:"data"` // a JSON object: FlavorOptions or ZoneOptions
	CreatedAt    time.Time `bun:"created_at"`
}

// ProfileTitle is the kind's profile as fault texts of changes write it; upstream is not of one mind about capitals.
func (k OfferKind) ProfileTitle() string {
	if k == OfferZone {
		return "Availability Zone Profile"
	}
	return "Flavor profile"
}

// Title is the kind as fault texts write it.
func (k OfferKind) Title() string {
	if k == OfferZone {
		return "Availability Zone"
	}
	return "Flavor"
}
