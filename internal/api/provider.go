package api

import (
	"context"
	"net/http"
	"slices"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

// sameProvider reports whether two names are of one provider.
func sameProvider(a, b string) bool {
	known := func(name string) bool { return name == lb.ProviderName || name == lb.ProviderAlias }
	return a == b || known(a) && known(b)
}

func (s *server) listProviders(ctx context.Context, c *call) (any, error) {
	if err := mayReadShared(ctx); err != nil {
		return nil, err
	}
	shown, err := named(c, views(s.Settings.Rules.Providers, func(p lb.Capability) wire.Provider { return wire.Provider(p) }), func(p wire.Provider) (string, string) { return p.Name, p.Description })
	if err != nil {
		return nil, err
	}
	return map[string]any{"providers": shown}, nil
}

func (s *server) listFlavorCapabilities(ctx context.Context, c *call) (any, error) {
	return s.capabilities(ctx, c, "flavor_capabilities", s.Provider.FlavorCapabilities)
}

func (s *server) listZoneCapabilities(ctx context.Context, c *call) (any, error) {
	return s.capabilities(ctx, c, "availability_zone_capabilities", s.Provider.ZoneCapabilities)
}

func (s *server) capabilities(ctx context.Context, c *call, root string, of func() []lb.Capability) (any, error) {
	if err := mayOperate(ctx); err != nil {
		return nil, err
	}
	if err := s.Settings.Rules.CheckProvider(c.r.PathValue("provider")); err != nil {
		return nil, err
	}
	all := views(of(), func(o lb.Capability) wire.Capability { return wire.Capability(o) })
	shown, err := named(c, all, func(o wire.Capability) (string, string) { return o.Name, o.Description })
	if err != nil {
		return nil, err
	}
	return map[string]any{root: shown}, nil
}

// named filters by name and description and keeps the wanted fields; lists of these have no pages.
func named[V any](c *call, all []V, words func(V) (name, description string)) (any, error) {
	for parameter, values := range c.query {
		switch {
		case parameter == "fields":
		case parameter != "name" && parameter != "description":
			return nil, &routeFault{http.StatusBadRequest, "Unknown attribute for filter: " + parameter}
		case len(values) > 1:
			return nil, lb.InvalidField(parameter, values[0], "Value should be given once")
		}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(v V) bool {
		name, description := words(v)
		return c.query.Has("name") && c.query.Get("name") != name || c.query.Has("description") && c.query.Get("description") != description
	})
	if fields := c.query["fields"]; len(fields) > 0 {
		return selectFields(all, fields)
	}
	return all, nil
}
