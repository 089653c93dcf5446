package v3

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"colonnade/internal/identity"
	"colonnade/internal/lb"
)

// domainRef, projectRef and userRef name objects in requests, by id or by name and domain.
type domainRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type projectRef struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Domain domainRef `json:"domain"`
}

type userRef struct {
	projectRef
	Password string `json:"password"`
}

func (p projectRef) named() identity.Named {
	return identity.Named{ID: p.ID, Name: p.Name, DomainID: p.Domain.ID, DomainName: p.Domain.Name}
}

type credentialRef struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Secret string  `json:"secret"`
	User   userRef `json:"user"`
}

type loginRequest struct {
	Auth *struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User userRef `json:"user"`
			} `json:"password"`
			Token *struct {
				ID string `json:"id"`
			} `json:"token"`
			ApplicationCredential *credentialRef `json:"application_credential"`
		} `json:"identity"`
		Scope json.RawMessage `json:"scope"` // an object, or "unscoped"
	} `json:"auth"`
}

type scopeRequest struct {
	Project  *projectRef `json:"project"`
	Domain   *domainRef  `json:"domain"`
	System   any         `json:"system"`
	Trust    any         `json:"OS-TRUST:trust"`
	Unscoped any         `json:"unscoped"`
}

// decodeLogin reads a request for a token.
func decodeLogin(r *http.Request) (identity.Login, error) {
	var in loginRequest
	var l identity.Login
	if err := readBody(r, &in); err != nil {
		return l, err
	}
	if in.Auth == nil || len(in.Auth.Identity.Methods) == 0 {
		return l, lb.Faultf(lb.KindInvalid, "Expecting to find auth.identity.methods in request body.")
	}
	who := in.Auth.Identity
	if len(who.Methods) > 1 {
		return l, lb.Faultf(lb.KindInvalid, "One authentication method at a time is supported.")
	}
	l.Method = who.Methods[0]
	missing := lb.Faultf(lb.KindInvalid, "Expecting to find auth.identity.%s in request body.", l.Method)
	switch {
	case l.Method == "password" && who.Password != nil:
		l.User, l.Password = who.Password.User.named(), who.Password.User.Password
		if !l.User.Given() {
			return l, missing
		}
	case l.Method == "token" && who.Token != nil:
		l.Token = who.Token.ID
	case l.Method == "application_credential" && who.ApplicationCredential != nil:
		c := who.ApplicationCredential
		l.Credential, l.Secret, l.User = identity.Named{ID: c.ID, Name: c.Name}, c.Secret, c.User.named()
		if c.ID == "" && (c.Name == "" || !l.User.Given()) {
			return l, missing
		}
	case l.Method == "password", l.Method == "token", l.Method == "application_credential":
		return l, missing
	default:
		return l, identity.ErrUnauthorized // as for a method that Keystone does not have
	}
	return l, decodeScope(in.Auth.Scope, &l.Scope)
}

func decodeScope(raw json.RawMessage, scope *identity.Scope) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if string(raw) == `"unscoped"` {
		scope.Unscoped = true
		return nil
	}
	var in scopeRequest
	if err := json.Unmarshal(raw, &in); err != nil {
		return lb.Faultf(lb.KindInvalid, "Expecting to find valid JSON in the body that has the right types: %s.", jsonProblem(err))
	}
	scope.Unscoped = in.Unscoped != nil
	given := 0
	if in.Project != nil {
		given++
		if scope.Project = in.Project.named(); !scope.Project.Given() {
			return lb.Faultf(lb.KindInvalid, "Expecting to find id or name of the project in auth.scope.")
		}
	}
	if in.Domain != nil {
		given++
		if scope.Domain = (identity.Named{ID: in.Domain.ID, Name: in.Domain.Name}); !scope.Domain.Given() {
			return lb.Faultf(lb.KindInvalid, "Expecting to find id or name of the domain in auth.scope.")
		}
	}
	switch {
	case in.System != nil || in.Trust != nil:
		return identity.ErrUnauthorized // nobody has roles there
	case given > 1:
		return lb.Faultf(lb.KindInvalid, "Expecting to find one scope in auth.scope.")
	}
	return nil
}

func (s *server) login(w http.ResponseWriter, r *http.Request) {
	l, err := decodeLogin(r)
	var token string
	var session identity.Session
	if err == nil {
		l.Address = s.Client(r.Context())
		token, session, err = s.Accounts.Login(r.Context(), l)
	}
	if err != nil {
		// Not the name that was given: people type their password there.
		if unauthorized(err) || errors.Is(err, identity.ErrTooManyAttempts) {
			s.Log.WarnContext(r.Context(), "login refused", "from", l.Address, "reason", err.Error())
		}
		s.reply(w, r, 0, nil, err)
		return
	}
	w.Header().Set("X-Subject-Token", token)
	s.reply(w, r, http.StatusCreated, s.tokenView(r, session), nil)
}

type ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type inDomain struct {
	ref
	Domain ref `json:"domain"`
}

type userView struct {
	inDomain
	PasswordExpiresAt *string `json:"password_expires_at"`
}

type credentialSummary struct {
	ref
	Restricted bool `json:"restricted"`
}

type tokenView struct {
	Methods    []string           `json:"methods"`
	User       userView           `json:"user"`
	AuditIDs   []string           `json:"audit_ids"`
	IssuedAt   *string            `json:"issued_at"`
	ExpiresAt  *string            `json:"expires_at"`
	Project    *inDomain          `json:"project,omitempty"`
	Domain     *ref               `json:"domain,omitempty"`
	IsDomain   *bool              `json:"is_domain,omitempty"`
	Roles      []ref              `json:"roles,omitempty"`
	Catalog    []catalogEntry     `json:"catalog,omitzero"`
	Credential *credentialSummary `json:"application_credential,omitempty"`
}

var domain = ref{identity.DomainID, identity.DomainName}

func (s *server) tokenView(r *http.Request, session identity.Session) any {
	v := tokenView{
		Methods: session.Methods, AuditIDs: session.AuditIDs, IssuedAt: stamp(session.IssuedAt), ExpiresAt: stamp(session.ExpiresAt),
		User: userView{inDomain: inDomain{ref{session.User.ID, session.User.Name}, domain}},
	}
	if p := session.Project; p != nil {
		v.Project, v.IsDomain = &inDomain{ref{p.ID, p.Name}, domain}, new(false)
	}
	if session.Domain {
		v.Domain = &domain
	}
	for _, name := range session.Roles {
		v.Roles = append(v.Roles, ref{identity.RoleID(name), name})
	}
	if (session.Project != nil || session.Domain) && !r.URL.Query().Has("nocatalog") {
		v.Catalog = s.catalog(r)
	}
	if c := session.Credential; c != nil {
		v.Credential = &credentialSummary{ref{c.ID, c.Name}, !c.Unrestricted}
	}
	return map[string]any{"token": v}
}

// subject is the token that a call is about; whoever asks has it, is an administrator, or a service that checks tokens.
func (s *server) subject(r *http.Request, caller identity.Session) (identity.Session, error) {
	token := r.Header.Get("X-Subject-Token")
	if token == "" {
		return caller, lb.Faultf(lb.KindInvalid, "X-Subject-Token is missing.")
	}
	about, err := s.Accounts.Session(r.Context(), token)
	if err != nil {
		if caller.Admin() || slices.Contains(caller.Roles, "service") {
			if unauthorized(err) {
				err = lb.Faultf(lb.KindNotFound, "Failed to validate token.")
			}
			return about, err
		}
		return about, errForbidden
	}
	if about.User.ID != caller.User.ID && !caller.Admin() && !slices.Contains(caller.Roles, "service") {
		return about, errForbidden
	}
	return about, nil
}

func (s *server) showToken(w http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	about, err := s.subject(r, caller)
	if err != nil {
		return 0, nil, err
	}
	w.Header().Set("X-Subject-Token", r.Header.Get("X-Subject-Token"))
	return http.StatusOK, s.tokenView(r, about), nil
}

func (s *server) revokeToken(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	about, err := s.subject(r, caller)
	if err == nil && about.User.ID != caller.User.ID && !caller.Admin() {
		err = errForbidden
	}
	if err == nil {
		err = s.Accounts.Revoke(r.Context(), about)
	}
	return http.StatusNoContent, nil, err
}

type endpoint struct {
	ID        string `json:"id"`
	Interface string `json:"interface"`
	Region    string `json:"region"`
	RegionID  string `json:"region_id"`
	URL       string `json:"url"`
}

type catalogEntry struct {
	ref
	Type      string     `json:"type"`
	Endpoints []endpoint `json:"endpoints"`
}

// catalog names every service at the address that the client uses.
func (s *server) catalog(r *http.Request) []catalogEntry {
	services := append([]Service{{Type: "identity", Name: "keystone", Path: Prefix}}, s.Services...)
	entries := make([]catalogEntry, len(services))
	for i, one := range services {
		entries[i] = catalogEntry{ref: ref{identity.ID("service", one.Type), one.Name}, Type: one.Type}
		for _, face := range []string{"public", "internal", "admin"} {
			entries[i].Endpoints = append(entries[i].Endpoints, endpoint{
				ID: identity.ID("endpoint", one.Type+" "+face), Interface: face, Region: s.Region, RegionID: s.Region, URL: s.url(r, one.Path),
			})
		}
	}
	return entries
}

func (s *server) showCatalog(_ http.ResponseWriter, r *http.Request, caller identity.Session) (int, any, error) {
	if caller.Project == nil && !caller.Domain {
		return 0, nil, errForbidden // an unscoped token has none
	}
	return http.StatusOK, collection(s, r, "catalog", s.catalog(r)), nil
}
