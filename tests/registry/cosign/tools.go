//go:build tools

// Package tools names the command that is built from this module.
package tools

import _ "github.com/sigstore/cosign/v3/cmd/cosign"
