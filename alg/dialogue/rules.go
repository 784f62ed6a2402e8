package dialogue

// Rules are what the operator allows in dialogues with one server. They are read-only
// once a dialogue has met them.
type Rules struct {
	Modes        []Mode
	SourcePort   Ports // of active data connections
	OpenOnPort   bool  // a pinhole opens at the announcement instead of the transfer command
	MinPort      uint16
	DenyPorts    []uint16
	PassivePorts Ports // that a 227 or 229 may name
	FTPSPorts    Ports // to which connections are admitted after AUTH; the zero value: none are
	RequireLogin bool
	Verbs        []string // commands beside the known ones that are FTP here, in capitals
}
