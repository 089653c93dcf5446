package lb

import "time"

// Secret is something that a tenant keeps in the key manager.
type Secret struct {
	ID          string    `bun:"id,pk"`
	ProjectID   string    `bun:"project_id"`
	CreatorID   string    `bun:"creator_id"`
	Name        string    `bun:"name"`
	Type        string    `bun:"secret_type"` // opaque, certificate, private, …
	Algorithm   string    `bun:"algorithm,nullzero"`
	BitLength   int       `bun:"bit_length,nullzero"`
	Mode        string    `bun:"mode,nullzero"`
	ContentType string    `bun:"content_type,nullzero"` // text/plain or application/octet-stream; "" while there is no payload
	Payload     []byte    `bun:"payload"`               // sealed; nil while there is none
	Expiration  time.Time `bun:"expiration,nullzero"`
	CreatedAt   time.Time `bun:"created_at"`
	UpdatedAt   time.Time `bun:"updated_at,nullzero"`
}

// SecretContainer names secrets that belong together.
type SecretContainer struct {
	ID        string      `bun:"id,pk"`
	ProjectID string      `bun:"project_id"`
	CreatorID string      `bun:"creator_id"`
	Name      string      `bun:"name"`
	Type      string      `bun:"container_type"`        // generic, rsa or certificate
	Secrets   []SecretRef `bun:"secret_refs,type:text"` // JSON text
	CreatedAt time.Time   `bun:"created_at"`
	UpdatedAt time.Time   `bun:"updated_at,nullzero"`
}

// SecretRef is what a secret is in a container.
type SecretRef struct {
	Name     string `json:"name"`
	SecretID string `json:"secret_id"`
}

// Secret returns the id of the secret of this name, or "".
func (c *SecretContainer) Secret(name string) string {
	for _, r := range c.Secrets {
		if r.Name == name {
			return r.SecretID
		}
	}
	return ""
}
