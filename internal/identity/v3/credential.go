package v3

import (
	"net/http"
	"strings"
	"time"

	"colonnade/internal/identity"
	"colonnade/internal/lb"
)

type credentialRequest struct {
	Credential *struct {
		Name         string    `json:"name"`
		Description  string    `json:"description"`
		Secret       string    `json:"secret"`
		ExpiresAt    string    `json:"expires_at"`
		Unrestricted bool      `json:"unrestricted"`
		Roles        []roleRef `json:"roles"`
		AccessRules  []any     `json:"access_rules"`
	} `json:"application_credential"`
}

type roleRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type credentialView struct {
	ref
	Description  string            `json:"description"`
	UserID       string            `json:"user_id"`
	ProjectID    string            `json:"project_id"`
	Roles        []ref             `json:"roles"`
	ExpiresAt    *string           `json:"expires_at"`
	Unrestricted bool              `json:"unrestricted"`
	System       *string           `json:"system"`
	Secret       string            `json:"secret,omitempty"` // when it is made, and never again
	Links        map[string]string `json:"links"`
}

func (s *server) credentialView(r *http.Request, c identity.ApplicationCredential, secret string) credentialView {
	v := credentialView{
		ref: ref{c.ID, c.Name}, Description: c.Description, UserID: c.UserID, ProjectID: c.ProjectID, Roles: []ref{},
		Unrestricted: c.Unrestricted, Secret: secret,
		Links: self(s.url(r, Prefix+"/v3/users/"+c.UserID+"/application_credentials/"+c.ID)),
	}
	if !c.ExpiresAt.IsZero() {
		v.ExpiresAt = new(c.ExpiresAt.UTC().Format("2006-01-02T15:04:05.000000"))
	}
	for _, name := range c.Roles {
		v.Roles = append(v.Roles, ref{identity.RoleID(name), name})
	}
	return v
}

// endOf reads a time with or without a zone; without, it is UTC.
func endOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return time.Time{}, lb.InvalidField("expires_at", text, "Value should be a time like 2027-01-31T12:00:00")
}

func (s *server) createCredential(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	if r.PathValue("user_id") != caller.User.ID {
		return 0, nil, errForbidden // one makes them for oneself
	}
	var in credentialRequest
	if err := readBody(r, &in); err != nil {
		return 0, nil, err
	}
	if in.Credential == nil {
		return 0, nil, lb.Faultf(lb.KindInvalid, "Expecting to find application_credential in request body.")
	}
	given := in.Credential
	if len(given.AccessRules) > 0 {
		return 0, nil, lb.Faultf(lb.KindInvalid, "Access rules are not supported here.")
	}
	if len(given.Description) > 1024 || strings.ContainsRune(given.Name+given.Description, 0) {
		return 0, nil, lb.Faultf(lb.KindInvalid, "Invalid input for field/attribute description. Value should be text of at most 1024 bytes")
	}
	ends, err := endOf(given.ExpiresAt)
	if err != nil {
		return 0, nil, err
	}
	c := identity.ApplicationCredential{Name: given.Name, Description: given.Description, ExpiresAt: ends, Unrestricted: given.Unrestricted}
	for _, one := range given.Roles {
		name := one.Name
		for _, known := range caller.Roles {
			if identity.RoleID(known) == one.ID {
				name = known
			}
		}
		if name == "" {
			return 0, nil, lb.Faultf(lb.KindNotFound, "Could not find role: %s.", one.ID)
		}
		c.Roles = append(c.Roles, name)
	}
	c, secret, err := s.Accounts.CreateApplicationCredential(r.Context(), caller, c, given.Secret)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, map[string]any{"application_credential": s.credentialView(r, c, secret)}, nil
}

func (s *server) listCredentials(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	u, err := s.user(r, caller)
	if err != nil {
		return 0, nil, err
	}
	all, err := s.Accounts.Storage.ApplicationCredentials(r.Context(), u.ID)
	if err != nil {
		return 0, nil, err
	}
	all = keep(all, r, func(c identity.ApplicationCredential) map[string]string { return map[string]string{"name": c.Name} })
	views := make([]credentialView, len(all))
	for i, c := range all {
		views[i] = s.credentialView(r, c, "")
	}
	return http.StatusOK, collection(s, r, "application_credentials", views), nil
}

func (s *server) showCredential(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	u, err := s.user(r, caller)
	if err != nil {
		return 0, nil, err
	}
	c, err := s.Accounts.Storage.ApplicationCredential(r.Context(), r.PathValue("id"))
	if err == nil && c.UserID != u.ID {
		err = lb.Faultf(lb.KindNotFound, "Could not find Application Credential: %s.", r.PathValue("id"))
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"application_credential": s.credentialView(r, c, "")}, nil
}

func (s *server) deleteCredential(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	u, err := s.user(r, caller)
	if err == nil {
		err = s.Accounts.DeleteApplicationCredential(r.Context(), caller, u.ID, r.PathValue("id"))
	}
	return http.StatusNoContent, nil, err
}
