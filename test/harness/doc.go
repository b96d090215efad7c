// Package harness helps to test what a distributed system does when something goes wrong, from an ordinary `go test`: it starts brokers, workers and clients of
// Troupe, in the test's process or in processes of their own, and programs of yours beside them; it freezes, kills, starves and sticks them, delays, silences
// and cuts the links between them; and it says what verdicts were heard, and compares them with what you expect.
//
//	func TestMyWorkerIsKilled(t *testing.T) {
//		s := harness.New(t, harness.Config{})
//		s.Broker()
//		w := s.Process("w1", exec.Command("./my-worker", "--broker", s.Workers, "--name", "w1"))
//		h, err := s.Client().Open(harness.Context(t), "mine")
//		require.NoError(t, err)
//		w.Kill()
//		s.Expect(harness.Want{Is: "GONE", Of: "w1"})
//		_, err = h.Call(harness.Context(t), nil)
//		require.ErrorIs(t, err, assigner.ErrWorkerGone)
//	}
//
// # Faults
//
// Process.Freeze and Thaw (SIGSTOP, SIGCONT), Process.Kill (SIGKILL), System.Stick (a hit's thread, computing or asleep), Starve (all cores are busy),
// Link.Delay, Silence, Cut, Refuse and Heal (a TCP proxy of the harness, which needs no rights), and Hosts (network namespaces, which need root).
//
// # Time
//
// A test must not measure time by its own clock: on a busy machine it would fail by chance. Waits have a safety net of Patience and end with the event they wait
// for; bounds are compared with the values that a verdict's why-record has measured (Want.Value).
//
// # What a failure shows
//
// Every fault, verdict and end of a process is in the test's Timeline, which is printed when the test fails, with the why-records and what the processes said. Chance is
// drawn from a seed (Seed, Schedule), which is printed then, too: SEED=n repeats the same choices.
//
// # Nothing is left
//
// Processes are children that the kernel kills when the test's process ends, however it ends. They, links and namespaces are ended when the test ends, also
// when it fails or panics, and only by their own handles.
package harness
