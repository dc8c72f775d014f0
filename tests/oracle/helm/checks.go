package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
	"golang.org/x/crypto/bcrypt"
)

// checks are functions that only tests call: what is random is judged by its shape.
var checks = template.FuncMap{
	"certificateShape": certificateShape,
	"keyShape":         keyShape,
	"functionNames":    functionNames,
	"bcryptMatches": func(hash, password string) string {
		return fmt.Sprint(bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)))
	},
}

// certificateShape tells all of a certificate but its serial number, its times and its key.
func certificateShape(text, authority string) (string, error) {
	parse := func(text string) (*x509.Certificate, error) {
		block, rest := pem.Decode([]byte(text))
		if block == nil || len(rest) > 0 {
			return nil, fmt.Errorf("not one block of PEM: %q", text)
		}
		return x509.ParseCertificate(block.Bytes)
	}
	c, err := parse(text)
	if err != nil {
		return "", err
	}
	ca, err := parse(authority)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintln(&out, "subject", c.Subject, "raw", fmt.Sprintf("%x", c.RawSubject))
	fmt.Fprintln(&out, "issuer", c.Issuer, "same", string(c.RawIssuer) == string(ca.RawSubject))
	fmt.Fprintln(&out, "version", c.Version, "holds", c.NotAfter.Sub(c.NotBefore).Round(time.Hour), c.SignatureAlgorithm, c.PublicKeyAlgorithm)
	fmt.Fprintln(&out, "usage", c.KeyUsage, c.ExtKeyUsage, "ca", c.IsCA, c.BasicConstraintsValid, c.MaxPathLen)
	fmt.Fprintln(&out, "names", c.DNSNames, c.IPAddresses)
	for _, e := range c.Extensions {
		value := fmt.Sprintf("%x", e.Value)
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 14}) {
			sum := sha256.Sum256(subjectKey(c))
			value = fmt.Sprint("of key ", string(c.SubjectKeyId) == string(sum[:20]))
		}
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 35}) {
			value = fmt.Sprint("of issuer ", string(c.AuthorityKeyId) == string(ca.SubjectKeyId))
		}
		fmt.Fprintln(&out, "extension", e.Id, e.Critical, value)
	}
	fmt.Fprintln(&out, "signed", ca.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature))
	return out.String(), nil
}

func subjectKey(c *x509.Certificate) []byte {
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil
	}
	return info.Key.Bytes
}

// keyShape tells the kind of a private key, and whether it is whole.
func keyShape(text string) (string, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) > 0 {
		return "", fmt.Errorf("not one block of PEM: %q", text)
	}
	switch block.Type {
	case "RSA PRIVATE KEY":
		k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(block.Type, k.N.BitLen(), k.E, k.Validate()), nil
	case "EC PRIVATE KEY":
		k, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return "", err
		}
		again, err := x509.MarshalECPrivateKey(k)
		return fmt.Sprint(block.Type, k.Curve.Params().Name, string(again) == string(block.Bytes), err), nil
	case "DSA PRIVATE KEY":
		var k dsaKey
		rest, err := asn1.Unmarshal(block.Bytes, &k)
		if err != nil || len(rest) > 0 {
			return "", fmt.Errorf("DSA: %v, %d bytes more", err, len(rest))
		}
		return fmt.Sprint(block.Type, k.Version, k.P.BitLen(), k.Q.BitLen(), k.isWhole()), nil
	default:
		k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return "", err
		}
		again, err := x509.MarshalPKCS8PrivateKey(k)
		return fmt.Sprintf("%s %T %v %v", block.Type, k, string(again) == string(block.Bytes), err), nil
	}
}

// functionNames tells the names that helm's engine binds: sprig's without those that read the environment, and its own.
func functionNames() string {
	names := []string{
		"toToml", "mustToToml", "fromToml", "toYaml", "mustToYaml", "toYamlPretty", "fromYaml", "fromYamlArray", "toJson",
		"mustToJson", "fromJson", "fromJsonArray", "include", "tpl", "required", "lookup",
	}
	for name := range sprig.TxtFuncMap() {
		if name != "env" && name != "expandenv" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}
