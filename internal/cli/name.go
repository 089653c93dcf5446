package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"colonnade/internal/client"
)

// nameError says that a name stands for no object, or for several.
type nameError struct{ text string }

func (e *nameError) Error() string { return e.text }

// resolve turns what stands for an object into its id: an id, or a name that one object has.
func resolve[T, C, U any](ctx context.Context, r client.Resource[T, C, U], kind, given string) (string, error) {
	if _, err := uuid.Parse(given); err == nil {
		return given, nil
	}
	items, err := r.List(ctx, url.Values{"name": {given}})
	if err != nil {
		return "", err
	}
	var ids []string
	for _, item := range items {
		var named struct{ ID, Name string }
		b, err := json.Marshal(item)
		if err == nil {
			err = json.Unmarshal(b, &named)
		}
		if err != nil {
			return "", err
		}
		if named.Name == given {
			ids = append(ids, named.ID)
		}
	}
	return theOne(ids, kind, kind, given)
}

// resolveSubnet does the same for a subnet; the name of a network with one subnet stands for that subnet too. Only an
// operator sees networks, so others give ids.
func resolveSubnet(ctx context.Context, api *client.Client, given string) (string, error) {
	if _, err := uuid.Parse(given); err == nil {
		return given, nil
	}
	networks, err := api.Networks().List(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("look up subnet %q: %w", given, err)
	}
	var ids []string
	for _, n := range networks {
		for _, s := range n.Subnets {
			if s.Name == given || n.Name == given && len(n.Subnets) == 1 {
				ids = append(ids, s.ID)
			}
		}
	}
	return theOne(ids, "subnet", "network", given)
}

// theOne is the id when there is just one; list is the command that shows what there is.
func theOne(ids []string, kind, list, given string) (string, error) {
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		return "", &nameError{fmt.Sprintf("no %s has the name %q; `colonnade %s list` shows what there is", kind, given, list)}
	}
	return "", &nameError{fmt.Sprintf("%d objects of kind %s have the name %q; give an id instead:\n  %s", len(ids), kind, given, strings.Join(ids, "\n  "))}
}
