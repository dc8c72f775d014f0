// Command podinfo stands in for the sample platform's images, and for the one that holds a pod's namespaces: it answers 200
// on the ports that their probes ask, until it is told to end. Built with -X main.ends=TEXT it says that and ends at once.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

var ends string

func main() {
	if ends != "" {
		fmt.Fprintln(os.Stderr, ends)
		os.Exit(3)
	}
	if filepath.Base(os.Args[0]) == "pause" {
		wait()
		return
	}
	ok := http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(answer, "ok") })
	for _, address := range []string{":9898", ":6379", ":9100", ":8000", ":8443"} {
		go func() { _ = http.ListenAndServe(address, ok) }()
	}
	wait()
}

// wait returns when the process is told to end.
func wait() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	<-told
}
