package alg

// Packet is one diverted packet.
type Packet struct {
	ID   uint64 // names the packet to its queue
	Data []byte // from the network header on; the worker copies what it keeps, and may change it until Settle
	In   uint32 // index of the interface by which it came in; 0: this host sent it
	Out  uint32 // index of the interface by which it will leave; 0: it is for this host
	// Translated says that the connection's addresses are translated.
	Translated bool
}

// Verdict is the answer to one Packet. The zero action accepts it unchanged.
type Verdict struct {
	ID   uint64
	Drop bool
	Data []byte // not nil: the packet goes on with these bytes instead
}

// Result is what a Worker wants done. Both slices are valid until the Worker is
// called again.
type Result struct {
	Verdicts []Verdict
	Inject   [][]byte // packets of the ALG's own (TCP resets), from the network header on
}
