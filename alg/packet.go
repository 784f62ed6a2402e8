package alg

// Packet is one diverted packet.
type Packet struct {
	ID   uint32 // names the packet to its queue
	Data []byte // from the network header on; the worker copies what it keeps
}

// Action is what becomes of a packet.
type Action uint8

// The two actions. What is not understood is accepted unchanged.
const (
	Accept Action = iota
	Drop
)

// Verdict is the answer to one Packet.
type Verdict struct {
	ID     uint32
	Action Action
	Data   []byte // not nil: the packet goes on with these bytes instead
}

// Result is what a Worker wants done. Both slices are valid until the Worker is
// called again.
type Result struct {
	Verdicts []Verdict
	Inject   [][]byte // packets of the ALG's own (TCP resets), from the network header on
}
