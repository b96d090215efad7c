// Command troupe runs brokers and workers, calls services, and shows and ends hits. docs/cli.md describes it.
package main

import (
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
