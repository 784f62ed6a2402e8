// Package alg follows FTP dialogues and decides which data connections a packet
// filter may admit.
//
// It is bytes in, verdicts and pinhole operations out: no goroutines, no netlink,
// no clock of its own. The same Worker runs behind an NFQUEUE, over a capture file
// and under a fuzzer.
package alg
