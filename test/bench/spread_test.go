package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpreadIsJudged(t *testing.T) {
	found, err := spreading{Workers: map[string]int{"a": 4000, "b": 5000}, OpensS: 7}.judge()
	require.NoError(t, err)
	require.Equal(t, values{"spread": 1.25, "opens_s": 7}, found)
	_, err = spreading{Lost: 1, Workers: map[string]int{"a": 1, "b": 1}}.judge()
	require.ErrorContains(t, err, "1 hits were lost")
	_, err = spreading{Workers: map[string]int{"a": 2}}.judge()
	require.ErrorContains(t, err, "2 brokers live")
	_, err = spreading{Workers: map[string]int{"a": 2, "b": 1, "c": 1}}.judge()
	require.ErrorContains(t, err, "2 brokers live", "one that hangs has opened a hit")
}
