package wire

// FlavorCreate is what POST /lbaas/flavors takes under "flavor".
type FlavorCreate struct {
	Name            Opt[string] `json:"name" minLength:"1" maxLength:"255"`
	Description     Opt[string] `json:"description,omitzero" maxLength:"255"`
	Enabled         Opt[bool]   `json:"enabled,omitzero"`
	FlavorProfileID Opt[string] `json:"flavor_profile_id" format:"uuid"`
}

// FlavorUpdate is what PUT takes.
type FlavorUpdate struct {
	Name        Opt[string] `json:"name,omitzero" minLength:"1" maxLength:"255"`
	Description Opt[string] `json:"description,omitzero" maxLength:"255"`
	Enabled     Opt[bool]   `json:"enabled,omitzero"`
}

// Flavor is a choice that an operator offers tenants for their load balancers.
type Flavor struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	Description     string `json:"description"`
	Enabled         bool   `json:"enabled"`
	FlavorProfileID string `json:"flavor_profile_id"`
}

// FlavorProfileCreate is what POST /lbaas/flavorprofiles takes under "flavorprofile".
type FlavorProfileCreate struct {
	Name         Opt[string] `json:"name" minLength:"1" maxLength:"255"`
	ProviderName Opt[string] `json:"provider_name" maxLength:"255"`
	FlavorData   Opt[string] `json:"flavor_data" maxLength:"4096"` // a JSON object as text
}

// FlavorProfileUpdate is what PUT takes.
type FlavorProfileUpdate struct {
	Name         Opt[string] `json:"name,omitzero" minLength:"1" maxLength:"255"`
	ProviderName Opt[string] `json:"provider_name,omitzero" maxLength:"255"`
	FlavorData   Opt[string] `json:"flavor_data,omitzero" maxLength:"4096"`
}

// FlavorProfile is what a flavor means.
type FlavorProfile struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	ProviderName string `json:"provider_name"`
	FlavorData   string `json:"flavor_data"`
}

// AvailabilityZoneCreate is what POST /lbaas/availabilityzones takes under "availability_zone".
type AvailabilityZoneCreate struct {
	Name                      Opt[string] `json:"name" minLength:"1" maxLength:"255"`
	Description               Opt[string] `json:"description,omitzero" maxLength:"255"`
	Enabled                   Opt[bool]   `json:"enabled,omitzero"`
	AvailabilityZoneProfileID Opt[string] `json:"availability_zone_profile_id" format:"uuid"`
}

// AvailabilityZoneUpdate is what PUT takes; a zone's name is its identity.
type AvailabilityZoneUpdate struct {
	Description Opt[string] `json:"description,omitzero" maxLength:"255"`
	Enabled     Opt[bool]   `json:"enabled,omitzero"`
}

// AvailabilityZone is a place that an operator offers tenants for their load balancers.
type AvailabilityZone struct {
	Name                      string `json:"name"`
	Description               string `json:"description"`
	Enabled                   bool   `json:"enabled"`
	AvailabilityZoneProfileID string `json:"availability_zone_profile_id"`
}

// AvailabilityZoneProfileCreate is what POST /lbaas/availabilityzoneprofiles takes under "availability_zone_profile".
type AvailabilityZoneProfileCreate struct {
	Name                 Opt[string] `json:"name" minLength:"1" maxLength:"255"`
	ProviderName         Opt[string] `json:"provider_name" maxLength:"255"`
	AvailabilityZoneData Opt[string] `json:"availability_zone_data" maxLength:"4096"` // a JSON object as text
}

// AvailabilityZoneProfileUpdate is what PUT takes.
type AvailabilityZoneProfileUpdate struct {
	Name                 Opt[string] `json:"name,omitzero" minLength:"1" maxLength:"255"`
	ProviderName         Opt[string] `json:"provider_name,omitzero" maxLength:"255"`
	AvailabilityZoneData Opt[string] `json:"availability_zone_data,omitzero" maxLength:"4096"`
}

// AvailabilityZoneProfile is what an availability zone means.
type AvailabilityZoneProfile struct {
	ID                   string `json:"id"`
	Name                 string `json:"name"`
	ProviderName         string `json:"provider_name"`
	AvailabilityZoneData string `json:"availability_zone_data"`
}

// Provider is something that runs load balancers.
type Provider struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Capability is an option that a provider knows in the data of a profile.
type Capability struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}
