// Package secret is the key manager: it keeps tenants' certificates and keys sealed, and finds what references of
// listeners and pools name. The API and the worker get a Vault from cmd; it imports lb alone.
package secret
