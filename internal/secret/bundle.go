package secret

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"

	"colonnade/internal/lb"
)

// certificatesOf are the certificates of a PEM text, or of DER.
func certificatesOf(payload []byte) [][]byte {
	payload = text(payload)
	var out [][]byte
	for block, rest := pem.Decode(payload); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			out = append(out, block.Bytes)
		case "PKCS7":
			if certificates, err := pkcs7Certificates(block.Bytes); err == nil {
				out = append(out, certificates...)
			}
		}
	}
	if len(out) == 0 {
		if _, err := x509.ParseCertificate(payload); err == nil {
			out = append(out, payload)
		}
	}
	return out
}

// signer is a private key that can say which certificate is its own.
type signer interface {
	Public() crypto.PublicKey
}

// privateKey reads the first key of a PEM text, or of DER.
func privateKey(payload, passphrase []byte) (signer, error) {
	payload = text(payload)
	if len(payload) == 0 {
		return nil, invalid("There is no private key.")
	}
	passphrase = bytes.TrimRight(passphrase, "\r\n")
	der, kind := payload, ""
	for block, rest := pem.Decode(payload); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			der, kind = block.Bytes, block.Type
			if x509.IsEncryptedPEMBlock(block) { //nolint:staticcheck // what tenants bring is not ours to choose
				var err error
				if der, err = x509.DecryptPEMBlock(block, passphrase); err != nil { //nolint:staticcheck // the same
					return nil, invalid("Private key: %v", errEncrypted)
				}
			}
			break
		}
	}
	if kind == "ENCRYPTED PRIVATE KEY" {
		var err error
		if der, err = decryptPKCS8(der, string(passphrase)); err != nil {
			return nil, invalid("Private key: %v", errEncrypted)
		}
	}
	return parseKey(der)
}

func parseKey(der []byte) (signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if s, ok := key.(signer); ok {
			return s, nil
		}
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, invalid("The private key can not be read.")
}

// chain puts the certificate of the key first and leaves the others in their order.
func chain(certificates [][]byte, key signer) ([][]byte, error) {
	public, ok := key.Public().(interface{ Equal(x crypto.PublicKey) bool })
	if !ok {
		return nil, invalid("The private key is of a kind that TLS does not use.")
	}
	var own []byte
	var others [][]byte
	for _, der := range certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, invalid("Certificate: %v", err)
		}
		if own == nil && public.Equal(c.PublicKey) {
			own = der
			continue
		}
		others = append(others, der)
	}
	if own == nil {
		return nil, invalid("The private key is not that of the certificate.")
	}
	return append([][]byte{own}, others...), nil
}

// assemble writes certificate, chain and key as HAProxy reads them.
func assemble(certificates [][]byte, key signer) (string, error) {
	out := ""
	for _, der := range certificates {
		out += encode("CERTIFICATE", der)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", invalid("The private key is of a kind that TLS does not use.")
	}
	return out + encode("PRIVATE KEY", der), nil
}

// bundleError says why a PKCS12 bundle cannot be read.
type bundleError struct{ cause error }

func (e *bundleError) Error() string {
	return "The PKCS12 bundle is unreadable. Please check the PKCS12 bundle validity. In addition, make sure it does not require a pass phrase. Error: " + e.cause.Error()
}

func (e *bundleError) Unwrap() error { return lb.Faultf(lb.KindInvalid, "%s", e.Error()) }

// bundle reads a secret that has certificate and key in one: PKCS12 without a pass phrase, or PEM.
func bundle(payload []byte) (string, error) {
	if bytes.Contains(payload, []byte("-----BEGIN")) {
		key, err := privateKey(payload, nil)
		if err != nil {
			return "", err
		}
		certificates, err := chain(certificatesOf(payload), key)
		if err != nil {
			return "", err
		}
		return assemble(certificates, key)
	}
	if plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(payload)), "")); err == nil {
		if bytes.Contains(plain, []byte("-----BEGIN")) {
			return bundle(plain)
		}
		payload = plain
	}
	certificates, keys, err := decodePKCS12(payload)
	if err != nil {
		return "", &bundleError{err}
	}
	if len(keys) == 0 {
		return "", &bundleError{errors.New("it holds no private key")}
	}
	key, err := parseKey(keys[0])
	if err != nil {
		return "", err
	}
	if certificates, err = chain(certificates, key); err != nil {
		return "", err
	}
	return assemble(certificates, key)
}
