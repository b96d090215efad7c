package main

import "strings"

// Names of the experiments (experiments.go) that the rows read.
const (
	proxy512, troupe512             = "proxy_32B_W512", "troupe_32B_W512"
	proxy64, troupe64               = "proxy_32B_W64", "troupe_32B_W64"
	proxyKiB, troupeKiB             = "proxy_1KiB_W512", "troupe_1KiB_W512"
	proxy1, troupe1                 = "proxy_32B_W1", "troupe_32B_W1"
	proxyOneshot, troupeOneshot     = "proxy_oneshot", "troupe_oneshot"
	natsRequest                     = "nats_request"
	goroutine64, goroutine512       = "go_goroutine_W64", "go_goroutine_W512"
	thread64, thread512             = "go_thread_W64", "go_thread_W512"
	manyHits                        = "many_hits"
	openSpread                      = "open_spread"
	pushPull                        = "push_pull"
	bulkRouted, bulkDirect          = "bulk_routed", "bulk_direct"
	besideBulk                      = "beside_bulk"
	echo512, direct512              = "echo_32B_W512", "direct_32B_W512"
	peerEcho                        = "C ROUTER echo"
	peerProxy, peerNATS, peer100    = "C zmq_proxy", "NATS nc.Request", "100 hits"
	perSecond, microseconds, perOne = "req/s", "us", "us/call"
	megabytes, peerPush             = "MB/s", "PUSH/PULL"
)

// place names one value of one experiment.
type place struct{ experiment, value string }

// row is one figure of the report: where its value and its peer's come from, and what it has to reach.
type row struct {
	name, unit, peer string
	mine, other      place // other is empty where there is no peer
	reach            reach
}

// reach is what a figure has to reach. The zero value demands nothing: the figure is reported.
type reach struct {
	ratio bool    // the ratio to the peer is judged, not the value
	least float64 // 0: no lower limit
	most  float64 // 0: no upper limit
}

func atLeast(ratio float64) reach { return reach{ratio: true, least: ratio} }
func atMost(ratio float64) reach  { return reach{ratio: true, most: ratio} }
func below(value float64) reach   { return reach{most: value} }

// rows is the report, in its order.
var rows = []row{
	{"routed_32B_W512", perSecond, peerProxy, place{troupe512, "rps"}, place{proxy512, "rps"}, atLeast(0.80)},
	{"routed_32B_W64", perSecond, peerProxy, place{troupe64, "rps"}, place{proxy64, "rps"}, atLeast(0.80)},
	{"routed_1KiB_W512", perSecond, peerProxy, place{troupeKiB, "rps"}, place{proxyKiB, "rps"}, atLeast(0.80)},
	{"routed_32B_W1_p50", microseconds, peerProxy, place{troupe1, "p50"}, place{proxy1, "p50"}, atMost(1.25)},
	{"broker_cpu_32B_W512", perOne, peerProxy, place{troupe512, "cpu"}, place{proxy512, "cpu"}, atMost(1.8)},
	{"oneshot_32B_W512", perSecond, peerProxy, place{troupeOneshot, "rps"}, place{proxyOneshot, "rps"}, atLeast(0.5)},
	{"direct_32B_W512", perSecond, peerEcho, place{direct512, "rps"}, place{echo512, "rps"}, atLeast(0.5)},
	{"curve_32B_W512", perSecond, peerCurve, place{curveTroupe512, "rps"}, place{curveProxy512, "rps"}, atLeast(0.75)},
	{"curve_32B_W512_plain", perSecond, "the same plain", place{curveTroupe512, "rps"}, place{troupe512, "rps"}, reach{}},
	{"curve_cpu_32B_W512", perOne, peerCurve, place{curveTroupe512, "cpu"}, place{curveProxy512, "cpu"}, reach{}},
	{"go_goroutine_W512", perSecond, peerNATS, place{goroutine512, "rps"}, place{natsRequest, "rps"}, atLeast(1.0)},
	{"go_thread_W64", perSecond, "64 goroutine slots", place{thread64, "rps"}, place{goroutine64, "rps"}, reach{}},
	{"go_thread_W512", perSecond, "512 goroutine slots", place{thread512, "rps"}, place{goroutine512, "rps"}, reach{}},
	{"large_1GiB_routed", megabytes, peerPush, place{bulkRouted, "mbps"}, place{pushPull, "mbps"}, atLeast(0.4)},
	{"large_1GiB_direct", megabytes, peerPush, place{bulkDirect, "mbps"}, place{pushPull, "mbps"}, atLeast(0.8)},
	{"small_p99_beside_large", microseconds, "the same alone", place{besideBulk, "p99"}, place{besideBulk, "alone_p99"}, atMost(2.0)},
	{"leases_cpu_32B_W512", perOne, "leases off", place{leased, "cpu"}, place{unleased, "cpu"}, atMost(1.05)},
	{"idle_1024_workers", percentOfCore, peerBeats, place{idleWorkers, "percent"}, place{bareBeats, "percent"}, below(2)},
	{"hits_100k_active_1k", perOne, peer100, place{manyHits, "active_cpu"}, place{manyHits, "few_cpu"}, atMost(1.2)},
	{"hits_100k_uniform", perOne, peer100, place{manyHits, "uniform_cpu"}, place{manyHits, "few_cpu"}, atMost(2.0)},
	{"tasks_32B", perSecond, peerProxy, place{tasks64, "rps"}, place{proxyTasks64, "rps"}, atLeast(0.5)},
	{"tasks_go", perSecond, peerNATS, place{tasksGo, "rps"}, place{natsRequest, "rps"}, atLeast(1.0)},
	{"tasks_py", perSecond, peerIPython, place{pythonTasks, "rps"}, place{pythonPeer, "rps"}, atLeast(15)},
	{"task_rtt_py", microseconds, peerIPython, place{pythonTasks, "p50"}, place{pythonPeer, "p50"}, atMost(0.15)},
	{"scale_workers", perOne, "4 workers", place{crowdOfWorkers, "cpu"}, place{fewWorkers, "cpu"}, atMost(1.3)},
	{"register_1024", milliseconds, "", place{registerCrowd, "ms"}, place{}, below(2000)},
	{"all_1024", milliseconds, "", place{askCrowd, "ms"}, place{}, reach{}},
	{"all_1024_3_frozen", milliseconds, "", place{askFrozen, "ms"}, place{}, below(3300)}, // the broker's limit of silence is 3 s
	{"queue_1M", "B each", "", place{millionQueued, "bytes"}, place{}, below(600)},
	{"queue_1M_page", milliseconds, "", place{millionQueued, "page"}, place{}, reach{}},
	{"queue_1M_remove", milliseconds, "", place{millionQueued, "remove"}, place{}, reach{}},
	{"queue_1M_clear", milliseconds, "", place{millionQueued, "clear"}, place{}, reach{}},
	{"queue_1M_turn", milliseconds, "", place{millionQueued, "turn_ms"}, place{}, below(5)},
	{"pool_ask_64x4", milliseconds, "slowest member alone", place{askPool, "p50"}, place{askPool, "slowest_p50"}, atMost(5)},
	{"pool_ask_64x4_p99", milliseconds, "slowest member alone", place{askPool, "p99"}, place{askPool, "slowest"}, atMost(5)},
	{"pool_messages", "per question", "", place{askPool, "messages"}, place{}, below(poolMessages)},
	{"pool_election", milliseconds, "", place{askPool, "election_ms"}, place{}, below(100)},
	{"pool_hung", milliseconds, "", place{askPool, "hung_ms"}, place{}, below(500)},
	{"http_small_8", perSecond, peerHTTP, place{smallName(troupe, 8), "rps"}, place{smallName(peer, 8), "rps"}, atLeast(0.4)},
	{"http_small_64", perSecond, peerHTTP, place{smallName(troupe, 64), "rps"}, place{smallName(peer, 64), "rps"}, atLeast(0.4)},
	{"http_stages", perSecond, peerHTTP, place{mixName(2), "rps"}, place{mixPlain, "rps"}, atLeast(0.8)},
	{"http_stages_p99", microseconds, "1 compute worker", place{mixName(2), "p99"}, place{mixName(1), "p99"}, atMost(0.2)},
	{"stage_us", microseconds, "", place{hops, "us"}, place{}, reach{}},
	{"http_memory", "MiB", "", place{webMemory, "mib"}, place{}, below(8)},
	{"proxy_32B_W512", perSecond, peerProxy, place{proxyOurs, "rps"}, place{proxyPlain, "rps"}, atLeast(0.9)},
	{"pipeline_32B", messagesPerSecond, peerPipe, place{pipeOurs, "rps"}, place{pipePlain, "rps"}, atLeast(0.8)},
	{"pubsub_1", messagesPerSecond, peerPubSub, place{fanName(troupe, 1), "rps"}, place{fanName(peer, 1), "rps"}, atLeast(0.8)},
	{"pubsub_8", messagesPerSecond, peerPubSub, place{fanName(troupe, 8), "rps"}, place{fanName(peer, 8), "rps"}, atLeast(0.8)},
	{"pubsub_64", messagesPerSecond, peerPubSub, place{fanName(troupe, 64), "rps"}, place{fanName(peer, 64), "rps"}, atLeast(0.8)},
	{"open_spread", "max/min", "", place{openSpread, "spread"}, place{}, below(1.1)},
	{"hit_bytes", "B", "", place{manyHits, "hit_bytes"}, place{}, below(1500)},
	{"broker_peak", "MiB", peerProxy, place{troupe512, "peak"}, place{proxy512, "peak"}, below(32)},
}

// choose returns the rows whose name contains the text.
func choose(text string) []row {
	var chosen []row
	for _, r := range rows {
		if strings.Contains(r.name, text) {
			chosen = append(chosen, r)
		}
	}
	return chosen
}

func names(rows []row) []string {
	all := make([]string, len(rows))
	for i, r := range rows {
		all[i] = r.name
	}
	return all
}
