// Command index reads the index of a Helm repository as helm does, and prints how many charts and how many versions of
// them it has.
package main

import (
	"fmt"
	"os"

	repo "helm.sh/helm/v4/pkg/repo/v1"
)

func main() {
	index, err := repo.LoadIndexFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	versions := 0
	for _, offers := range index.Entries {
		versions += len(offers)
	}
	fmt.Println(len(index.Entries), versions)
}
