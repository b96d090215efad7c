// Package butterfly puts HTTP in front of stages of workers: the butterfly, or parallel pipeline, with a way back to the client from every stage.
//
// A Front is an HTTP server, or a handler in one, whose routes lead through stages. A stage is a service of package assigner, so its workers may be threads of
// one process, or many processes on many machines, in any language; a broker gives each request to a free one. A worker answers the client, from whatever stage; or
// passes the request on to the next stage, to a named one, to several at once whose answers another stage joins, or back, within a bounded number of hops.
// docs/protocol/butterfly.md says what workers see and answer.
package butterfly
