package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // what OpenSSL before 3.0 wrote; bundles are read, never made
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"unicode/utf16"

	"golang.org/x/crypto/pkcs12"
)

// Object identifiers of RFC 7292 (PKCS #12) and RFC 8018 (PKCS #5).
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSigned        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEncrypted     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedKey   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidPBES2         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidSHA1And3DES   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidSHA1          = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA512        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidHMACSHA1      = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACSHA256    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACSHA512    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
	oidAES128CBC     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidDESEDE3CBC    = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	errUnknown       = errors.New("it is encrypted in a way that is not known here")
	errWrong         = errors.New("it needs a pass phrase, or was changed")
	errNoBundle      = errors.New("it is no PKCS12 bundle")
	errTooManyRounds = errors.New("it asks for too many iterations")
)

// maxIterations bounds the work that a bundle can ask for; OpenSSL writes 2048.
const maxIterations = 1_000_000

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type pfx struct {
	Version  int
	AuthSafe contentInfo
	Mac      macData `asn1:"optional"`
}

type macData struct {
	Mac struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

type encryptedData struct {
	Version int
	Content struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Encrypted []byte `asn1:"tag:0,optional"`
	}
}

type safeBag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue `asn1:"tag:0,explicit"`
	Attributes asn1.RawValue `asn1:"set,optional"`
}

type certBag struct {
	ID   asn1.ObjectIdentifier
	Data []byte `asn1:"tag:0,explicit"`
}

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Encrypted []byte
}

// unmarshal reads a value that is all there is.
func unmarshal(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = errNoBundle
	}
	return err
}

// decodePKCS12 returns the certificates and keys (PKCS #8, DER) of a bundle whose pass phrase is empty.
func decodePKCS12(der []byte) (certificates, keys [][]byte, err error) {
	certificates, keys, err = decodeBundle(der)
	if !errors.Is(err, errUnknown) {
		return certificates, keys, err
	}
	// RC2, which OpenSSL before 3.0 hid certificates by.
	blocks, err := pkcs12.ToPEM(der, "")
	if err != nil {
		return nil, nil, err
	}
	for _, b := range blocks {
		if b.Type == "CERTIFICATE" {
			certificates = append(certificates, b.Bytes)
		} else {
			keys = append(keys, b.Bytes)
		}
	}
	return certificates, keys, nil
}

func decodeBundle(der []byte) (certificates, keys [][]byte, err error) {
	var p pfx
	if err := unmarshal(der, &p); err != nil || p.Version != 3 || !p.AuthSafe.Type.Equal(oidData) {
		return nil, nil, errNoBundle
	}
	var safe []byte
	if err := unmarshal(p.AuthSafe.Content.Bytes, &safe); err != nil {
		return nil, nil, errNoBundle
	}
	if len(p.Mac.Mac.Digest) > 0 {
		if err := verifyMAC(p.Mac, safe); err != nil {
			return nil, nil, err
		}
	}
	var contents []contentInfo
	if err := unmarshal(safe, &contents); err != nil {
		return nil, nil, errNoBundle
	}
	for _, c := range contents {
		var plain []byte
		switch {
		case c.Type.Equal(oidData):
			if err := unmarshal(c.Content.Bytes, &plain); err != nil {
				return nil, nil, errNoBundle
			}
		case c.Type.Equal(oidEncrypted):
			var e encryptedData
			if err := unmarshal(c.Content.Bytes, &e); err != nil {
				return nil, nil, errNoBundle
			}
			if plain, err = decrypt(e.Content.Algorithm, e.Content.Encrypted, ""); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, errUnknown
		}
		var bags []safeBag
		if err := unmarshal(plain, &bags); err != nil {
			return nil, nil, errWrong
		}
		for _, b := range bags {
			switch {
			case b.ID.Equal(oidKeyBag):
				keys = append(keys, b.Value.Bytes)
			case b.ID.Equal(oidShroudedKey):
				key, err := decryptPKCS8(b.Value.Bytes, "")
				if err != nil {
					return nil, nil, err
				}
				keys = append(keys, key)
			case b.ID.Equal(oidCertBag):
				var c certBag
				if err := unmarshal(b.Value.Bytes, &c); err != nil {
					return nil, nil, errNoBundle
				}
				if c.ID.Equal(oidX509) {
					certificates = append(certificates, c.Data)
				}
			}
		}
	}
	return certificates, keys, nil
}

func decryptPKCS8(der []byte, passphrase string) ([]byte, error) {
	var k encryptedKey
	if err := unmarshal(der, &k); err != nil {
		return nil, errNoBundle
	}
	return decrypt(k.Algorithm, k.Encrypted, passphrase)
}

func hashOf(oid asn1.ObjectIdentifier) func() hash.Hash {
	switch {
	case oid.Equal(oidSHA1), oid.Equal(oidHMACSHA1):
		return sha1.New
	case oid.Equal(oidSHA256), oid.Equal(oidHMACSHA256):
		return sha256.New
	case oid.Equal(oidSHA512), oid.Equal(oidHMACSHA512):
		return sha512.New
	}
	return nil
}

// verifyMAC holds the bundle against its digest. An empty pass phrase is written as nothing by some, by others as its end.
func verifyMAC(m macData, data []byte) error {
	h := hashOf(m.Mac.Algorithm.Algorithm)
	if h == nil {
		return errUnknown
	}
	if m.Iterations < 1 || m.Iterations > maxIterations {
		return errTooManyRounds
	}
	for _, password := range [][]byte{bmp(""), nil} {
		mac := hmac.New(h, derive(h, m.Salt, password, m.Iterations, 3, h().Size()))
		mac.Write(data)
		if hmac.Equal(mac.Sum(nil), m.Mac.Digest) {
			return nil
		}
	}
	return errWrong
}

// bmp is a pass phrase as PKCS #12 has it: UTF-16, big endian, with its end.
func bmp(s string) []byte {
	var out []byte
	for _, u := range append(utf16.Encode([]rune(s)), 0) {
		out = append(out, byte(u>>8), byte(u))
	}
	return out
}

func decrypt(algorithm pkix.AlgorithmIdentifier, data []byte, passphrase string) ([]byte, error) {
	switch {
	case algorithm.Algorithm.Equal(oidPBES2):
		return decryptPBES2(algorithm.Parameters.FullBytes, data, passphrase)
	case algorithm.Algorithm.Equal(oidSHA1And3DES):
		var params struct {
			Salt       []byte
			Iterations int
		}
		if err := unmarshal(algorithm.Parameters.FullBytes, &params); err != nil {
			return nil, errNoBundle
		}
		if params.Iterations < 1 || params.Iterations > maxIterations {
			return nil, errTooManyRounds
		}
		passwords := [][]byte{bmp(passphrase)}
		if passphrase == "" {
			passwords = append(passwords, nil)
		}
		for _, password := range passwords {
			block, err := des.NewTripleDESCipher(derive(sha1.New, params.Salt, password, params.Iterations, 1, 24)) //nolint:gosec // see above
			if err != nil {
				return nil, err
			}
			if plain, err := unpad(block, derive(sha1.New, params.Salt, password, params.Iterations, 2, 8), data); err == nil {
				return plain, nil
			}
		}
		return nil, errWrong
	}
	return nil, fmt.Errorf("%w (%s)", errUnknown, algorithm.Algorithm)
}

func decryptPBES2(parameters, data []byte, passphrase string) ([]byte, error) {
	var params struct {
		KDF, Scheme pkix.AlgorithmIdentifier
	}
	var kdf struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	if err := unmarshal(parameters, &params); err != nil || !params.KDF.Algorithm.Equal(oidPBKDF2) {
		return nil, errUnknown
	}
	if err := unmarshal(params.KDF.Parameters.FullBytes, &kdf); err != nil {
		return nil, errUnknown
	}
	h := sha1.New
	if len(kdf.PRF.Algorithm) > 0 {
		h = hashOf(kdf.PRF.Algorithm)
	}
	size, cipherOf := 0, aes.NewCipher
	switch oid := params.Scheme.Algorithm; {
	case oid.Equal(oidAES128CBC):
		size = 16
	case oid.Equal(oidAES192CBC):
		size = 24
	case oid.Equal(oidAES256CBC):
		size = 32
	case oid.Equal(oidDESEDE3CBC):
		size, cipherOf = 24, des.NewTripleDESCipher
	}
	var iv []byte
	if err := unmarshal(params.Scheme.Parameters.FullBytes, &iv); h == nil || size == 0 || err != nil {
		return nil, errUnknown
	}
	if kdf.Iterations < 1 || kdf.Iterations > maxIterations {
		return nil, errTooManyRounds
	}
	key, err := pbkdf2.Key(h, passphrase, kdf.Salt, kdf.Iterations, size)
	if err != nil {
		return nil, err
	}
	block, err := cipherOf(key)
	if err != nil {
		return nil, err
	}
	return unpad(block, iv, data)
}

// unpad decrypts in CBC mode and takes the padding away.
func unpad(block cipher.Block, iv, data []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errWrong
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	n := int(plain[len(plain)-1])
	if n < 1 || n > size || !bytes.Equal(plain[len(plain)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, errWrong
	}
	return plain[:len(plain)-n], nil
}

// derive is PKCS #12's own way from a pass phrase to a key (RFC 7292, B.2); id is 1 for keys, 2 for initial vectors, 3 for
// digests.
func derive(h func() hash.Hash, salt, password []byte, iterations int, id byte, size int) []byte {
	u, v := h().Size(), h().BlockSize()
	fill := func(s []byte) []byte {
		if len(s) == 0 {
			return nil
		}
		n := v * ((len(s) + v - 1) / v)
		return bytes.Repeat(s, n/len(s)+1)[:n]
	}
	d := bytes.Repeat([]byte{id}, v)
	i := append(fill(salt), fill(password)...)
	var out []byte
	for len(out) < size {
		a := append(bytes.Clone(d), i...)
		for range iterations {
			sum := h()
			sum.Write(a)
			a = sum.Sum(nil)
		}
		out = append(out, a[:u]...)
		one := new(big.Int).Add(new(big.Int).SetBytes(fill(a)[:v]), big.NewInt(1))
		for at := 0; at < len(i); at += v {
			sum := new(big.Int).Add(new(big.Int).SetBytes(i[at:at+v]), one).Bytes()
			if len(sum) > v {
				sum = sum[len(sum)-v:]
			}
			clear(i[at : at+v])
			copy(i[at+v-len(sum):at+v], sum)
		}
	}
	return out[:size]
}

// pkcs7Certificates are those of a degenerate PKCS #7 structure, which carries certificates alone.
func pkcs7Certificates(der []byte) ([][]byte, error) {
	var outer contentInfo
	if err := unmarshal(der, &outer); err != nil || !outer.Type.Equal(oidSigned) {
		return nil, errNoBundle
	}
	var signed struct {
		Version      int
		Digests      asn1.RawValue
		Content      asn1.RawValue
		Certificates asn1.RawValue `asn1:"tag:0,optional"`
		CRLs         asn1.RawValue `asn1:"tag:1,optional"`
		Signers      asn1.RawValue
	}
	if err := unmarshal(outer.Content.Bytes, &signed); err != nil {
		return nil, errNoBundle
	}
	var out [][]byte
	for rest := signed.Certificates.Bytes; len(rest) > 0; {
		var one asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &one); err != nil {
			return nil, errNoBundle
		}
		out = append(out, one.FullBytes)
	}
	return out, nil
}
