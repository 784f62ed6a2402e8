// Package lab builds two small networks with a firewall between them, out of Linux
// namespaces, and runs real FTP programs in it:
//
//	client 10.1.4.4 ──┐                                             ┌── server 10.2.5.5
//	                  lan ── router ── transit ── gateway ── outside
//	neighbour 10.1.4.5┘      .1   .1             .2   .1            └── outsider 10.2.5.66
//
//	lan      10.1.4.0/24  fd00:1:4::/64
//	transit  10.3.3.0/24  fd00:3:3::/64
//	outside  10.2.5.0/24  fd00:2:5::/64
//
// A packet between client and server crosses two hops: sent with TTL 3, it arrives
// with 1. The three segments are bridges on a switch of their own, so that a frame
// between neighbours never meets the firewall of a router.
//
// A lab lives in one process, its keeper, which is the first of a process namespace
// and has a mount namespace. Nothing is visible outside: no named namespace, no mount,
// no file. The kernel takes everything away with the keeper, and the keeper ends with
// the program that made the lab, however that program ends.
package lab
