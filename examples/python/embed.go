// Package python holds Troupe's worker and client for Python, one file that needs pyzmq only. `troupe client python` prints it.
package python

import _ "embed" // for Client

// Client is the text of troupe.py.
//
//go:embed troupe.py
var Client string

// Tasks is troupe_tasks.py, for handing out beside it.
//
//go:embed troupe_tasks.py
var Tasks string
