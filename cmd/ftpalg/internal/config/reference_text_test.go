package config

const aboutFile = "`ftpalg run`, `check` and `rules` read `/etc/ftpalg/ftpalg.toml`, or the file that `--config` names. The file is\n" +
	"TOML in UTF-8. What it does not name has its default, and a missing file is as good as an empty one. An unknown\n" +
	"key or a bad value is an error that names file, line and key; `ftpalg check` tells it without starting anything.\n\n" +
	"`systemctl reload ftpalg`, or SIGHUP, has the daemon read it again. A bad file is refused as a whole, and the old one stays\n" +
	"in force; a good one is in force at once, but for the keys of which the text says that they wait."

const waitsText = "A new value waits for a restart."

// sectionOrder is the order of the reference.
var sectionOrder = []string{"control", "firewall", "pinhole", "policy", "server", "log", "metrics", "api", "cluster"}

var aboutSection = map[string]string{
	"control":  "How control connections reach ftpalg.",
	"firewall": "The line of your ruleset that accepts what ftpalg admits, and what it is told by.",
	"pinhole":  "What is opened, when, and for how long.",
	"policy":   "Whom ftpalg helps, and what it puts up with.",
	"server": "Rules of their own for some servers: any number of such tables. The longest prefix that holds the server decides,\n" +
		"and what its table does not name is as in the sections above.",
	"log":     "What stands in the log.",
	"metrics": "Counters for Prometheus.",
	"api":     "The socket that `ftpalg status`, `sessions`, `pinholes` and `events` ask.",
	"cluster": "Several gateways that share sessions. This version serves one alone: the keys are read, and warned of.",
}

// aboutKey tells what each key does. What may stand there and its default come from
// elsewhere: see TestReferenceIsCurrent.
var aboutKey = map[string]string{
	"control.ports": "The ports of FTP servers. Connections to them are read; a program other than FTP is followed until its first line,\nand never helped.",
	"control.hooks": "Where packets are read: `forward` on a gateway, `input` and `output` on a host that is itself the server or the client.",
	"control.queue": "The first NFQUEUE number. As many as `workers` follow it, on a gateway twice as many. No other program may listen on them.",
	"control.workers": "How many queues share the work. A connection stays on one. 0 is one for each CPU, at most 4: more are of use at rates\n" +
		"that one seldom sees.",
	"control.on_absence": "What becomes of control packets while no daemon listens: a stop, a crash, a restart. `pass` lets them by unread, and what\n" +
		"was said meanwhile is not helped. `drop` drops them until one does; TCP sends them again. The table in the kernel\n" +
		"stays for that, and `nft delete table inet ftpalg` is to be rid of it.",
	"control.on_overload": "What becomes of control packets that the queue has no room for. `drop` has TCP send them again. `pass` lets them by\n" +
		"unread: what they announce is not helped.",
	"control.paths": "`strict` drops packets of one end that come in by another interface than its first did: somebody else may speak in its\n" +
		"name. `loose` is for gateways with asymmetric routes or VRFs; use it with a strict `rp_filter`, or with\n" +
		"`fib saddr . iif oif missing drop` in your ruleset.",

	"firewall.anchor": "`insert` has the daemon put the accept line at the top of `chains` itself, put it back after a reload, and take it away\n" +
		"when it ends. `manual` never touches your tables; `ftpalg rules` prints the line that they need.",
	"firewall.table":  "The table that holds `chains`: family and name.",
	"firewall.chains": "The chains that accept or drop forwarded, incoming or outgoing connections. Without this key: the names of\n`[control] hooks`.",
	"firewall.mark": "The bit of the packet mark that says: admitted. It is cleared on every packet before your filter and after it, so nothing\n" +
		"else may use it.",
	"firewall.label": "The conntrack label of data connections. The next one marks control connections that may be taken up again after a\n" +
		"crash, and the one after that those that are followed since their SYN; where that would be beyond 127, it is the one\n" +
		"before. Give ftpalg labels that nothing else uses.",

	"pinhole.modes": "Which transfers are helped: `active` (`PORT`, `EPRT`), where the server connects to the client, and `passive` (`PASV`,\n" +
		"`EPSV`), where the client connects to another port of the server.",
	"pinhole.source_port": "The port that an active data connection has to come from. RFC 959 says 20, and most servers do so. The event\n" +
		"`pinhole.missed` names this key where a server does otherwise; set it for that server alone, in a `[[server]]`.",
	"pinhole.open_on": "When an active pinhole opens: `transfer` with the transfer command (`RETR`, `STOR`, `LIST`, ...), before that command\n" +
		"reaches the server; `port` already at the announcement, for servers that connect before they answer it.",
	"pinhole.timeout":    "How long an unused pinhole stays open.",
	"pinhole.min_port":   "The lowest port that may be announced.",
	"pinhole.deny_ports": "Ports that are never opened, since what listens there is not FTP. A list here takes the place of the default's.",

	"policy.clients":       "Clients that may be helped. An empty list means all.",
	"policy.servers":       "Servers towards which clients may be helped. An empty list means all.",
	"policy.require_login": "With true, nothing opens before `USER`, `PASS` or `ACCT` was answered with 2xx.",
	"policy.auth_tls": "`allow` lets sessions become encrypted; they are then released, since they cannot be read, and an event says so. `deny`\n" +
		"turns `AUTH` into a command that no server knows, so that sessions stay in the clear; what is not read does not pass then,\n" +
		"whatever `on_absence` and `on_overload` say.",
	"policy.on_violation": "What follows when one end provably broke the rules: `ignore` tells it, `reset` also ends the connection at both sides. A\n" +
		"packet that anybody can forge proves nothing, and never ends one.",
	"policy.verbs":                   "Commands beside the known ones that are FTP here. Another word ends help, since it may be another protocol.",
	"policy.max_sessions":            "How many control connections are followed. Those beyond pass, unhelped. A smaller number is in force at once.",
	"policy.max_sessions_per_client": "How many of them one client may have. With IPv6 a client is a /64.",

	"server.addresses": "The servers that are meant. This key has to be there.",
	"server.source_port": "As in `[pinhole]`. proftpd without root privileges takes any port, for which 0 is right; pure-ftpd takes another port\n" +
		"below 1024 where 20 is busy, for which `\"1-1023\"` is.",
	"server.open_on": "As in `[pinhole]`. pyftpdlib 1.5 connects before it answers `PORT` and needs `port`.",
	"server.passive_ports": "The ports that 227 and 229 of this server may name. Give them wherever you know them: they bound what a hostile\n" +
		"server, or a hostile name of a file on an honest one, can have opened.",
	"server.ftps_ports": "FTPS: after `AUTH` and 234 the client may connect to these ports of this server while the control connection lives,\n" +
		"32 connections at a time for each client. A login cannot be seen there, and nothing compares a connection with what\n" +
		"was announced. Passive mode alone is helped so.",

	"log.level":  "The least important messages that are logged. Sessions, announcements and pinholes are `info`.",
	"log.format": "`text` for people, `json` for machines; `auto` chooses by what the log goes to.",

	"metrics.listen": "Where `/metrics` and `/healthz` are served; `\"\"` is off.",

	"api.socket": "The socket's path. A clean stop writes the sessions beside it, for the next start. `\"\"` is off: nothing can be asked, and\n" +
		"no session outlives a stop.",

	"cluster.name":         "The name of this gateway among the others; `\"\"` is the host's.",
	"cluster.listen":       "Where the others reach this gateway; `\"\"` is off.",
	"cluster.peers":        "The other gateways.",
	"cluster.ca":           "The authority (PEM) whose certificate a peer has to show.",
	"cluster.cert":         "The certificate (PEM) of this gateway.",
	"cluster.key":          "Its key (PEM).",
	"cluster.barrier":      "The longest wait for the peers before a transfer command goes on.",
	"cluster.on_peer_loss": "What becomes of transfers while a peer is gone: `serve` helps them alone, `hold` opens nothing.",
}
