//go:build tools

// Package helm pins the commands that build.sh builds.
package helm

import (
	_ "helm.sh/helm/v4/cmd/helm"
)
