package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/lb"
)

// keyManagerPrefix is where the key manager stands: the part of Barbican's v1 API by which clients keep certificates.
const keyManagerPrefix = "/key-manager"

// SecretStore is what the key manager needs of the database; payloads are sealed.
type SecretStore interface {
	CreateSecret(ctx context.Context, s lb.Secret) error
	Secret(ctx context.Context, id string) (lb.Secret, error)
	SetSecretPayload(ctx context.Context, id, contentType string, payload []byte) error
	Secrets(ctx context.Context, projectID, name string, limit, offset int) ([]lb.Secret, int, error)
	DeleteSecret(ctx context.Context, id string) error
	CreateSecretContainer(ctx context.Context, c lb.SecretContainer) error
	SecretContainer(ctx context.Context, id string) (lb.SecretContainer, error)
	SecretContainers(ctx context.Context, projectID, name string, limit, offset int) ([]lb.SecretContainer, int, error)
	DeleteSecretContainer(ctx context.Context, id string) error
}

// Vault seals and opens payloads.
type Vault interface {
	Seal(s lb.Secret, payload []byte) []byte
	Payload(s lb.Secret) ([]byte, error)
}

// Limits of the key manager.
const (
	maxSecret     = 60000 // bytes of a payload
	maxPageSecret = 100
	pageSecret    = 10
)

// Content types of payloads.
const (
	plainText = "text/plain"
	octets    = "application/octet-stream"
)

var (
	secretTypes    = []string{"opaque", "symmetric", "public", "private", "certificate", "passphrase"}
	containerTypes = []string{"generic", "rsa", "certificate"}
	// partsOf are the names of secrets that a container of a type may have, the mandatory ones first.
	partsOf = map[string][]string{
		"certificate": {"certificate", "private_key", "private_key_passphrase", "intermediates"},
		"rsa":         {"public_key", "private_key", "private_key_passphrase"},
	}
	mandatoryParts = map[string]int{"certificate": 1, "rsa": 2}
)

// keyManaging serves the key manager, whose bodies are not all JSON, before the rest of the API.
func keyManaging(next http.Handler, s *server) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, status int, h func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			out, err := s.keyManagerCall(r, pattern, status, h)
			if err != nil {
				failKeyManager(w, r, s, err)
				return
			}
			if ref, ok := out.(map[string]string); ok && status == http.StatusCreated {
				for _, location := range ref {
					w.Header().Set("Location", location)
				}
			}
			reply(w, status, out)
		})
	}
	const v1 = keyManagerPrefix + "/v1"
	handle("GET "+keyManagerPrefix, http.StatusOK, keyManagerVersions)
	handle("GET "+v1, http.StatusOK, keyManagerVersions)
	handle("GET "+v1+"/secrets", http.StatusOK, s.listSecrets)
	handle("POST "+v1+"/secrets", http.StatusCreated, s.createSecret)
	handle("PUT "+v1+"/secrets/{id}", http.StatusNoContent, s.putSecret)
	handle("DELETE "+v1+"/secrets/{id}", http.StatusNoContent, s.deleteSecret)
	handle("GET "+v1+"/containers", http.StatusOK, s.listContainers)
	handle("POST "+v1+"/containers", http.StatusCreated, s.createContainer)
	handle("GET "+v1+"/containers/{id}", http.StatusOK, s.showContainer)
	handle("DELETE "+v1+"/containers/{id}", http.StatusNoContent, s.deleteContainer)
	mux.HandleFunc("GET "+v1+"/secrets/{id}", s.serveSecret)
	mux.HandleFunc("GET "+v1+"/secrets/{id}/payload", s.servePayload)
	manager := routed(mux, s.Log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == keyManagerPrefix || strings.HasPrefix(r.URL.Path, keyManagerPrefix+"/") {
			manager.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// keyManagerCall serves a call, and records it when it changes something.
func (s *server) keyManagerCall(r *http.Request, pattern string, status int, h func(r *http.Request) (any, error)) (any, error) {
	method, path, _ := strings.Cut(pattern, " ")
	if !mutates(method) {
		return h(r)
	}
	verb := map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodDelete: "delete"}[method]
	kind := strings.TrimSuffix(strings.Split(strings.TrimPrefix(path, keyManagerPrefix+"/v1/"), "/")[0], "s")
	called := operation{id: verb + "-" + kind, method: method, path: path, status: status}
	ctx, about := noted(r.Context(), called)
	r = r.WithContext(ctx)
	out, err := h(r)
	var body []byte
	if ref, ok := out.(map[string]string); ok {
		body, _ = json.Marshal(ref) // texts can be written
	}
	s.audit(ctx, called, about, &call{r: r}, body, err)
	return out, err
}

// failKeyManager answers with an error as clients of the key manager read it: title and description.
func failKeyManager(w http.ResponseWriter, r *http.Request, s *server, err error) {
	a := answerFor(err)
	var f *lb.Fault
	if errors.As(err, &f) && !a.hidden {
		err = &routeFault{a.status, f.Text}
	} else if errors.Is(err, errTooLarge) || errors.As(err, new(*http.MaxBytesError)) {
		err = &routeFault{http.StatusRequestEntityTooLarge, errTooLarge.Error()}
	}
	fail(w, r, s.Log, err)
}

func keyManagerVersions(r *http.Request) (any, error) {
	v1 := map[string]any{
		"id": "v1", "status": "CURRENT", "updated": "2015-04-28T00:00:00Z",
		"links": []map[string]string{{"rel": "self", "href": base(r.Context()) + keyManagerPrefix + "/v1/"}},
		"media-types": []map[string]string{
			{"base": "application/json", "type": "application/vnd.openstack.key-manager-v1+json"},
		},
	}
	if strings.HasSuffix(r.URL.Path, "/v1") {
		return map[string]any{"version": v1}, nil
	}
	return map[string]any{"versions": []any{v1}}, nil
}

// callerProject is whose secrets a request is about.
func callerProject(ctx context.Context) (string, error) { return projectFor(principal(ctx).ProjectID) }

// readObject reads a JSON object strictly into dst, a pointer to a struct with json tags.
func readObject(r *http.Request, dst any) error {
	if m, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Header.Get("Content-Type") != "" && (err != nil || m != "application/json") {
		return &routeFault{http.StatusUnsupportedMediaType, errMediaType.Error()}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	v, err := parseJSON(body)
	if err != nil {
		return lb.Faultf(lb.KindInvalid, "Request body is not valid JSON: %s", err)
	}
	if _, ok := v.(map[string]any); !ok {
		return lb.Faultf(lb.KindInvalid, "Request body is not a JSON object.")
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(dst); err != nil {
		return lb.Faultf(lb.KindInvalid, "Provided object does not match the schema: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// secretBody is what makes a secret.
type secretBody struct {
	Name            *string `json:"name"`
	Type            *string `json:"secret_type"`
	Algorithm       *string `json:"algorithm"`
	BitLength       *int    `json:"bit_length"`
	Mode            *string `json:"mode"`
	Expiration      *string `json:"expiration"`
	Payload         *string `json:"payload"`
	ContentType     *string `json:"payload_content_type"`
	ContentEncoding *string `json:"payload_content_encoding"`
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// shortText bounds a text that is stored as it is.
func shortText(field, s string) error {
	if len([]rune(s)) > 255 || !legible(s) {
		return lb.InvalidField(field, s, "Value should have a maximum character requirement of 255")
	}
	return nil
}

func (s *server) createSecret(r *http.Request) (any, error) {
	ctx := r.Context()
	var in secretBody
	if err := readObject(r, &in); err != nil {
		return nil, err
	}
	project, err := callerProject(ctx)
	if err == nil {
		err = mayWrite(ctx, project)
	}
	if err != nil {
		return nil, err
	}
	row := lb.Secret{
		ID: uuid.NewString(), ProjectID: project, CreatorID: principal(ctx).UserID, Name: value(in.Name), Type: value(in.Type),
		Algorithm: value(in.Algorithm), BitLength: value(in.BitLength), Mode: value(in.Mode),
	}
	if row.Type == "" {
		row.Type = "opaque"
	}
	if !slices.Contains(secretTypes, row.Type) {
		return nil, lb.InvalidField("secret_type", row.Type, "Value should be one of: "+strings.Join(secretTypes, ", "))
	}
	for field, text := range map[string]string{"name": row.Name, "algorithm": row.Algorithm, "mode": row.Mode} {
		if err := shortText(field, text); err != nil {
			return nil, err
		}
	}
	if row.BitLength < 0 || row.BitLength > 32767 {
		return nil, lb.InvalidField("bit_length", strconv.Itoa(row.BitLength), "Value should be lower or equal to 32767")
	}
	if in.Expiration != nil && *in.Expiration != "" {
		if row.Expiration, err = parseMoment(*in.Expiration); err != nil {
			return nil, err
		}
		if !row.Expiration.After(time.Now()) {
			return nil, lb.InvalidField("expiration", *in.Expiration, "Value should be in the future")
		}
	}
	if in.Payload == nil {
		if in.ContentType != nil || in.ContentEncoding != nil {
			return nil, lb.Faultf(lb.KindInvalid, "payload must be provided when payload_content_type or payload_content_encoding is.")
		}
	} else {
		var payload []byte
		if payload, row.ContentType, err = decodePayload([]byte(*in.Payload), value(in.ContentType), value(in.ContentEncoding), true); err != nil {
			return nil, err
		}
		row.Payload = s.Vault.Seal(row, payload)
	}
	if err := s.Store.CreateSecret(ctx, row); err != nil {
		return nil, err
	}
	return map[string]string{"secret_ref": secretRef(ctx, "secrets", row.ID)}, nil
}

// parseMoment reads ISO 8601, UTC where it names no zone.
func parseMoment(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, lb.InvalidField("expiration", s, "Value should be in ISO 8601 format")
}

// decodePayload reads a payload by its content type. In JSON bytes are base64 and say so; a body of its own may be bytes.
func decodePayload(raw []byte, contentType, encoding string, inJSON bool) (payload []byte, kind string, err error) {
	kind, _, err = mime.ParseMediaType(contentType)
	if err != nil || kind != plainText && kind != octets {
		return nil, "", lb.Faultf(lb.KindInvalid, "payload_content_type %q is not supported: use %s, or %s with payload_content_encoding base64.", contentType, plainText, octets)
	}
	switch {
	case encoding == "base64" && kind == octets:
		if raw, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(raw)), "")); err != nil {
			return nil, "", lb.Faultf(lb.KindInvalid, "payload is not base64.")
		}
	case encoding != "":
		return nil, "", lb.Faultf(lb.KindInvalid, "payload_content_encoding %q is not supported for %s.", encoding, kind)
	case kind == octets && inJSON:
		return nil, "", lb.Faultf(lb.KindInvalid, "payload_content_encoding must be specified when payload_content_type is %s.", octets)
	}
	if len(raw) == 0 {
		return nil, "", lb.Faultf(lb.KindInvalid, "payload is empty.")
	}
	if len(raw) > maxSecret {
		return nil, "", &routeFault{http.StatusRequestEntityTooLarge, fmt.Sprintf("payload is larger than %d bytes", maxSecret)}
	}
	return raw, kind, nil
}

func secretRef(ctx context.Context, kind, id string) string {
	return base(ctx) + keyManagerPrefix + "/v1/" + kind + "/" + id
}

// heldSecret reads the secret of the path for somebody who may do something with it.
func (s *server) heldSecret(r *http.Request, may func(ctx context.Context, projectID string) error) (lb.Secret, error) {
	row, err := s.Store.Secret(r.Context(), r.PathValue("id"))
	if err == nil {
		err = may(r.Context(), row.ProjectID)
	}
	if err == nil && !row.Expiration.IsZero() && !time.Now().Before(row.Expiration) {
		err = notFound("Secret", row.ID)
	}
	return row, err
}

func (s *server) serveSecret(w http.ResponseWriter, r *http.Request) {
	if accept := r.Header.Get("Accept"); !accepts(accept, "application/json") {
		s.servePayload(w, r) // as clients did before payloads had a path of their own
		return
	}
	row, err := s.heldSecret(r, mayRead)
	if err != nil {
		failKeyManager(w, r, s, err)
		return
	}
	reply(w, http.StatusOK, secretView(r.Context(), row))
}

func (s *server) servePayload(w http.ResponseWriter, r *http.Request) {
	row, err := s.heldSecret(r, mayWrite) // who may only look sees no keys
	var payload []byte
	if err == nil {
		payload, err = s.Vault.Payload(row)
	}
	// Barbican gives texts to who asks for bytes.
	if accept := r.Header.Get("Accept"); err == nil && !accepts(accept, row.ContentType) && !accepts(accept, octets) {
		err = &routeFault{http.StatusNotAcceptable, "The secret is " + row.ContentType + "."}
	}
	if err != nil {
		failKeyManager(w, r, s, err)
		return
	}
	w.Header().Set("Content-Type", row.ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(payload) // the client has gone when this fails
}

func (s *server) putSecret(r *http.Request) (any, error) {
	row, err := s.heldSecret(r, mayWrite)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	payload, kind, err := decodePayload(raw, r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding"), false)
	if err != nil {
		return nil, err
	}
	return nil, s.Store.SetSecretPayload(r.Context(), row.ID, kind, s.Vault.Seal(row, payload))
}

func (s *server) deleteSecret(r *http.Request) (any, error) {
	row, err := s.heldSecret(r, mayWrite)
	if err != nil {
		return nil, err
	}
	return nil, s.Store.DeleteSecret(r.Context(), row.ID)
}

// secretJSON is a secret as it is shown; its payload never is.
type secretJSON struct {
	SecretRef    string            `json:"secret_ref"`
	Name         *string           `json:"name"`
	Status       string            `json:"status"`
	Type         string            `json:"secret_type"`
	Algorithm    *string           `json:"algorithm"`
	BitLength    *int              `json:"bit_length"`
	Mode         *string           `json:"mode"`
	CreatorID    string            `json:"creator_id"`
	ContentTypes map[string]string `json:"content_types,omitempty"`
	Expiration   *string           `json:"expiration"`
	Created      *string           `json:"created"`
	Updated      *string           `json:"updated"`
}

func secretView(ctx context.Context, s lb.Secret) secretJSON {
	v := secretJSON{
		SecretRef: secretRef(ctx, "secrets", s.ID), Name: orNull(s.Name), Status: "ACTIVE", Type: s.Type, Algorithm: orNull(s.Algorithm),
		BitLength: orNull(s.BitLength), Mode: orNull(s.Mode), CreatorID: s.CreatorID, Expiration: stamp(s.Expiration), Created: stamp(s.CreatedAt),
		Updated: stamp(s.UpdatedAt),
	}
	if v.Updated == nil {
		v.Updated = v.Created
	}
	if s.ContentType != "" {
		v.ContentTypes = map[string]string{"default": s.ContentType}
	}
	return v
}

// secretPage reads limit, offset and name of a list.
func secretPage(r *http.Request) (name string, limit, offset int, err error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || !legible(q.Get("name")) {
		return "", 0, 0, &routeFault{http.StatusBadRequest, "The query can not be read."}
	}
	number := func(name string, standard int) int {
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < 0 {
			return standard // as upstream: a page that cannot be read is the first one
		}
		return n
	}
	return q.Get("name"), min(max(number("limit", pageSecret), 1), maxPageSecret), number("offset", 0), nil
}

// secretLinks are what leads from one page of a list to the next ones.
func secretLinks(r *http.Request, out map[string]any, limit, offset, total int) map[string]any {
	link := func(offset int) string {
		q := r.URL.Query()
		q.Set("limit", strconv.Itoa(limit))
		q.Set("offset", strconv.Itoa(offset))
		return base(r.Context()) + r.URL.Path + "?" + q.Encode()
	}
	out["total"] = total
	if offset+limit < total {
		out["next"] = link(offset + limit)
	}
	if offset > 0 {
		out["previous"] = link(max(0, offset-limit))
	}
	return out
}

func (s *server) listSecrets(r *http.Request) (any, error) {
	project, err := callerProject(r.Context())
	if err == nil {
		err = mayRead(r.Context(), project)
	}
	if err != nil {
		return nil, err
	}
	name, limit, offset, err := secretPage(r)
	if err != nil {
		return nil, err
	}
	rows, total, err := s.Store.Secrets(r.Context(), project, name, limit, offset)
	if err != nil {
		return nil, err
	}
	views := []secretJSON{}
	for _, row := range rows {
		views = append(views, secretView(r.Context(), row))
	}
	return secretLinks(r, map[string]any{"secrets": views}, limit, offset, total), nil
}

// containerBody is what makes a container.
type containerBody struct {
	Name    *string `json:"name"`
	Type    *string `json:"type"`
	Secrets []struct {
		Name *string `json:"name"`
		Ref  *string `json:"secret_ref"`
	} `json:"secret_refs"`
}

var secretInRef = regexp.MustCompile(`(?:^|/secrets/)([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/?$`)

func (s *server) createContainer(r *http.Request) (any, error) {
	ctx := r.Context()
	var in containerBody
	if err := readObject(r, &in); err != nil {
		return nil, err
	}
	project, err := callerProject(ctx)
	if err == nil {
		err = mayWrite(ctx, project)
	}
	if err != nil {
		return nil, err
	}
	row := lb.SecretContainer{ID: uuid.NewString(), ProjectID: project, CreatorID: principal(ctx).UserID, Name: value(in.Name), Type: value(in.Type)}
	if !slices.Contains(containerTypes, row.Type) {
		return nil, lb.InvalidField("type", row.Type, "Value should be one of: "+strings.Join(containerTypes, ", "))
	}
	if err := shortText("name", row.Name); err != nil {
		return nil, err
	}
	if len(in.Secrets) > 100 {
		return nil, lb.Faultf(lb.KindInvalid, "A container names at most 100 secrets.")
	}
	for _, one := range in.Secrets {
		name, m := value(one.Name), secretInRef.FindStringSubmatch(value(one.Ref))
		parts, fixed := partsOf[row.Type]
		switch {
		case m == nil:
			return nil, lb.InvalidField("secret_ref", value(one.Ref), "Value should be a reference to a secret")
		case fixed && !slices.Contains(parts, name):
			return nil, lb.InvalidField("name", name, "Value should be one of: "+strings.Join(parts, ", "))
		case row.Secret(name) != "":
			return nil, lb.InvalidField("name", name, "Value should be given once")
		}
		if err := shortText("name", name); err != nil {
			return nil, err
		}
		secret, err := s.Store.Secret(ctx, m[1])
		if err == nil && secret.ProjectID != project {
			err = notFound("Secret", m[1])
		}
		if err != nil {
			return nil, err
		}
		row.Secrets = append(row.Secrets, lb.SecretRef{Name: name, SecretID: m[1]})
	}
	for _, part := range partsOf[row.Type][:mandatoryParts[row.Type]] {
		if row.Secret(part) == "" {
			return nil, lb.Faultf(lb.KindInvalid, "A container of type %s needs a secret named %s.", row.Type, part)
		}
	}
	if err := s.Store.CreateSecretContainer(ctx, row); err != nil {
		return nil, err
	}
	return map[string]string{"container_ref": secretRef(ctx, "containers", row.ID)}, nil
}

func (s *server) heldContainer(r *http.Request, may func(ctx context.Context, projectID string) error) (lb.SecretContainer, error) {
	row, err := s.Store.SecretContainer(r.Context(), r.PathValue("id"))
	if err == nil {
		err = may(r.Context(), row.ProjectID)
	}
	return row, err
}

func (s *server) showContainer(r *http.Request) (any, error) {
	row, err := s.heldContainer(r, mayRead)
	if err != nil {
		return nil, err
	}
	return containerView(r.Context(), row), nil
}

func (s *server) deleteContainer(r *http.Request) (any, error) {
	row, err := s.heldContainer(r, mayWrite)
	if err != nil {
		return nil, err
	}
	return nil, s.Store.DeleteSecretContainer(r.Context(), row.ID)
}

func containerView(ctx context.Context, c lb.SecretContainer) map[string]any {
	refs := []map[string]string{}
	for _, one := range c.Secrets {
		refs = append(refs, map[string]string{"name": one.Name, "secret_ref": secretRef(ctx, "secrets", one.SecretID)})
	}
	updated := stamp(c.UpdatedAt)
	if updated == nil {
		updated = stamp(c.CreatedAt)
	}
	return map[string]any{
		"container_ref": secretRef(ctx, "containers", c.ID), "name": orNull(c.Name), "type": c.Type, "status": "ACTIVE", "creator_id": c.CreatorID,
		"secret_refs": refs, "consumers": []string{}, "created": stamp(c.CreatedAt), "updated": updated,
	}
}

func (s *server) listContainers(r *http.Request) (any, error) {
	project, err := callerProject(r.Context())
	if err == nil {
		err = mayRead(r.Context(), project)
	}
	if err != nil {
		return nil, err
	}
	name, limit, offset, err := secretPage(r)
	if err != nil {
		return nil, err
	}
	rows, total, err := s.Store.SecretContainers(r.Context(), project, name, limit, offset)
	if err != nil {
		return nil, err
	}
	views := []map[string]any{}
	for _, row := range rows {
		views = append(views, containerView(r.Context(), row))
	}
	return secretLinks(r, map[string]any{"containers": views}, limit, offset, total), nil
}
