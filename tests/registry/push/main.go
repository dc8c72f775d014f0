// Command push pushes a folder or a file as `flux push artifact` does, with the same library, and prints the
// artifact's address with its digest.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/oci"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
)

func main() {
	meta := oci.Metadata{}
	url := flag.String("url", "", "where to push to: HOST/REPOSITORY:TAG")
	path := flag.String("path", "", "the folder, or the file of a static layer")
	static := flag.Bool("static", false, "push the file as it is, in a layer that is no archive")
	tags := flag.String("tag", "", "another tag for the same artifact")
	user := flag.String("user", "", "the user name")
	password := flag.String("password", "", "the password")
	flag.StringVar(&meta.Source, "source", "", "the origin's address")
	flag.StringVar(&meta.Revision, "revision", "", "the origin's revision")
	flag.StringVar(&meta.Created, "created", "2026-01-01T00:00:00Z", "when it was made")
	flag.Parse()
	if err := push(*url, *path, *static, *tags, *user, *password, meta); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func push(url, path string, static bool, tag, user, password string, meta oci.Metadata) error {
	options := append(oci.DefaultOptions(), crane.Insecure)
	if user != "" {
		options = append(options, crane.WithAuth(&authn.Basic{Username: user, Password: password}))
	}
	client := oci.NewClient(options)
	layer := oci.LayerTypeTarball
	if static {
		layer = oci.LayerTypeStatic
	}
	digest, err := client.Push(context.Background(), url, path, oci.WithPushMetadata(meta), oci.WithPushLayerType(layer))
	if err != nil {
		return err
	}
	if tag != "" {
		if _, err := client.Tag(context.Background(), url, tag); err != nil {
			return err
		}
	}
	fmt.Println(digest)
	return nil
}
