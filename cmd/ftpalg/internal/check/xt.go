package check

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

// This file is what the matches and targets of iptables say, as iptables-nft has them.

func (m *matching) xtMatch(e *expr.Match) answer {
	p := m.packet
	switch info := e.Info.(type) {
	case *xt.Comment:
		return yes
	case *xt.Tcp:
		return xtTCP(info, p)
	case *xt.ConntrackMtinfo3:
		return xtConntrack(info.ConntrackMtinfoBase, info.StateMask, info.StatusMask, p)
	case *xt.ConntrackMtinfo2:
		return xtConntrack(info.ConntrackMtinfoBase, info.StateMask, info.StatusMask, p)
	case *xt.ConntrackMtinfo1:
		return xtConntrack(info.ConntrackMtinfoBase, uint16(info.StateMask), uint16(info.StatusMask), p)
	case *xt.Udp:
		return no
	case *xt.Unknown:
		return xtUnknown(e.Name, e.Rev, *info, p)
	}
	return maybe
}

func xtTCP(i *xt.Tcp, p *packet) answer {
	within := func(port uint16, ports [2]uint16, inverse xt.TcpInvFlagset) answer {
		return truth((ports[0] <= port && port <= ports[1]) != (i.InvFlags&inverse != 0))
	}
	a := within(p.sport, i.SrcPorts, xt.TcpInvSrcPorts).and(within(p.dport, i.DstPorts, xt.TcpInvDestPorts))
	if i.FlagsMask != 0 {
		flags := p.transport().part(13, 1).bitwise([]byte{i.FlagsMask}, []byte{0}).equals([]byte{i.FlagsCmp})
		if i.InvFlags&xt.TcpInvFlags != 0 {
			flags = flags.not()
		}
		a = a.and(flags)
	}
	if i.Option != 0 {
		a = a.and(maybe)
	}
	return a
}

// Bits of xt_conntrack: XT_CONNTRACK_STATE_BIT counts ip_conntrack_info from 1, so that
// established is 1 << 1, related 1 << 2 and new 1 << 3.
const (
	xtEstablished = 1 << 1
	xtNew         = 1 << 3
	xtSNAT        = 1 << 6
	xtDNAT        = 1 << 7
)

func xtConntrack(i xt.ConntrackMtinfoBase, states, statuses uint16, p *packet) answer {
	a := yes
	const understood = xt.ConntrackState | xt.ConntrackDirection | xt.ConntrackStateAlias
	if xt.ConntrackFlags(i.MatchFlags)&^understood != 0 {
		a = maybe
	}
	inverted := xt.ConntrackFlags(i.InvertFlags)
	if xt.ConntrackFlags(i.MatchFlags)&xt.ConntrackState != 0 {
		is := uint16(xtNew)
		if !p.syn {
			is = xtEstablished
		}
		if p.forwards {
			is |= xtDNAT
		}
		in := truth(states&is != 0)
		if in == no && states&xtSNAT != 0 && p.forwards {
			in = maybe
		}
		if inverted&xt.ConntrackState != 0 {
			in = in.not()
		}
		a = a.and(in)
	}
	if xt.ConntrackFlags(i.MatchFlags)&xt.ConntrackDirection != 0 {
		// The flag without its inversion asks for the original direction.
		a = a.and(truth(p.reply == (inverted&xt.ConntrackDirection != 0)))
	}
	return a
}

func xtUnknown(name string, revision uint32, b []byte, p *packet) answer {
	switch name {
	case "limit", "comment":
		return yes
	case "connlabel": // struct xt_connlabel_mtinfo: bit, options
		if len(b) >= 4 && binary.NativeEndian.Uint16(b) == uint16(p.tag.Label) && binary.NativeEndian.Uint16(b[2:])&2 == 0 {
			v, _ := p.ct(expr.CtKeyLABELS)
			want := bit(16, int(p.tag.Label), true)
			a := v.bitwise(want.known, make([]byte, 16)).equals(want.bytes)
			if binary.NativeEndian.Uint16(b[2:])&1 != 0 {
				a = a.not()
			}
			return a
		}
	case "mark": // struct xt_mark_mtinfo1: mark, mask, invert
		if len(b) >= 9 && revision == 1 {
			a := p.mark.bitwise(b[4:8], native(0)).equals(b[:4])
			if b[8] != 0 {
				a = a.not()
			}
			return a
		}
	case "multiport": // struct xt_multiport_v1: kind, count, 15 ports, 15 range flags, invert
		if len(b) >= 48 && revision == 1 {
			return xtMultiport(b, p)
		}
	case "state": // struct xt_state_info: the bits of xt_conntrack
		if len(b) >= 4 {
			is := uint32(xtNew)
			if !p.syn {
				is = xtEstablished
			}
			return truth(binary.NativeEndian.Uint32(b)&is != 0)
		}
	case "icmp", "icmp6", "udplite", "sctp", "dccp", "esp", "ah":
		return no
	}
	return maybe
}

func xtMultiport(b []byte, p *packet) answer {
	const source, destination = 0, 1 // and either
	in := false
	for i := 0; i < int(min(b[1], 15)); i++ {
		low := binary.NativeEndian.Uint16(b[2+2*i:])
		high := low
		if b[32+i] != 0 && i+1 < 15 { // a range: its end is the next
			high = binary.NativeEndian.Uint16(b[2+2*(i+1):])
			i++
		}
		if b[0] != destination && low <= p.sport && p.sport <= high || b[0] != source && low <= p.dport && p.dport <= high {
			in = true
		}
	}
	return truth(in != (b[47] != 0))
}

func (m *matching) xtTarget(e *expr.Target) {
	info, _ := e.Info.(*xt.Unknown)
	switch e.Name {
	case "REJECT", "DROP":
		m.end(&expr.Verdict{Kind: expr.VerdictDrop})
	case "NFQUEUE":
		m.end(&expr.Verdict{Kind: expr.VerdictQueue})
	case "MARK": // struct xt_mark_tginfo2: mark, mask
		v := unknown(4)
		if info != nil && len(*info) >= 8 && e.Rev == 2 {
			b := *info
			keep := make([]byte, 4)
			for i := range keep {
				keep[i] = ^b[4+i]
			}
			v = m.packet.mark.bitwise(keep, b[:4])
		}
		m.setMark(v)
	case "CONNMARK":
		m.setMark(unknown(4))
	case "LOG", "NFLOG", "TCPMSS", "CHECKSUM", "CLASSIFY", "CT", "NOTRACK", "DSCP", "TOS", "TTL", "HL", "AUDIT", "TRACE", "SET",
		"SECMARK", "CONNSECMARK", "TEE", "RATEEST", "IDLETIMER", "LED", "TCPOPTSTRIP", "ECN":
	default:
		m.mystery()
		m.strange = true
	}
}

// ctHelper returns the helper that a CT target attaches.
func ctHelper(e *expr.Target) string {
	info, ok := e.Info.(*xt.Unknown)
	if !ok || e.Name != "CT" || len(*info) < 28 {
		return ""
	}
	// struct xt_ct_target_info: flags and zone (u16), two event masks (u32), helper[16]
	helper, _, _ := bytes.Cut((*info)[12:28], []byte{0})
	return strings.ToLower(string(helper))
}
