//go:build tools

// Package node pins the commands that build.sh builds: what a node runs besides its containers.
package node

import (
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
