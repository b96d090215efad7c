// Package pool tests pools with real processes that are killed, stopped and cut off.
package pool
