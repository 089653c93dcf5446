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
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		return "", &nameError{fmt.Sprintf("no %s has the name %q; `colonnade %s list` shows what there is", kind, given, kind)}
	}
	return "", &nameError{fmt.Sprintf("%d objects of kind %s have the name %q; give an id instead:\n  %s", len(ids), kind, given, strings.Join(ids, "\n  "))}
}
