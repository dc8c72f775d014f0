//go:build tools

// Package kustomize pins the commands that build.sh builds.
package kustomize

import (
	_ "sigs.k8s.io/kustomize/kustomize/v5"
)
