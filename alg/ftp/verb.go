package ftp

// Verb is the command word of a command line.
type Verb uint8

// The verbs of the registry of RFC 5797 and those that clients use beside it. What is
// not among them is not taken for FTP: see policy.verbs of the configuration.
const (
	// Other is a well-formed verb that is not in this table.
	Other Verb = iota

	// RFC 959.
	Abor
	Acct
	Allo
	Appe
	Cdup
	Cwd
	Dele
	Help
	List
	Mkd
	Mode
	Nlst
	Noop
	Pass
	Pasv
	Port
	Pwd
	Quit
	Rein
	Rest
	Retr
	Rmd
	Rnfr
	Rnto
	Site
	Smnt
	Stat
	Stor
	Stou
	Stru
	Syst
	Type
	User

	// RFC 775 and RFC 1123 section 4.1.3.1.
	Xcup
	Xcwd
	Xmkd
	Xpwd
	Xrmd

	// RFC 1639.
	Lprt
	Lpsv

	// RFC 2228.
	Adat
	Auth
	Ccc
	Conf
	Enc
	Mic
	Pbsz
	Prot

	// RFC 2389, 2428, 2640, 3659, 6384 and 7151.
	Feat
	Opts
	Eprt
	Epsv
	Lang
	Mdtm
	Mlsd
	Mlst
	Size
	Algs
	Host

	// No RFC, but in use.
	Avbl
	Clnt
	Comb
	Csid
	Dsiz
	Hash
	Mfct
	Mff
	Mfmt
	Rang
	Rmda
	Thmb
	Xcrc
	Xmd5
	Xsha
	Xsha1
	Xsha256
	Xsha512
	Cpsv // PASV for a transfer between two servers, under TLS
	Esta
	Estp
	Macb
	Md5
	Mmd5
	Pret
	Sscn
	Xsha384
)

var names = [...]string{
	Other: "OTHER",
	Abor:  "ABOR", Acct: "ACCT", Allo: "ALLO", Appe: "APPE", Cdup: "CDUP", Cwd: "CWD",
	Dele: "DELE", Help: "HELP", List: "LIST", Mkd: "MKD", Mode: "MODE", Nlst: "NLST",
	Noop: "NOOP", Pass: "PASS", Pasv: "PASV", Port: "PORT", Pwd: "PWD", Quit: "QUIT",
	Rein: "REIN", Rest: "REST", Retr: "RETR", Rmd: "RMD", Rnfr: "RNFR", Rnto: "RNTO",
	Site: "SITE", Smnt: "SMNT", Stat: "STAT", Stor: "STOR", Stou: "STOU", Stru: "STRU",
	Syst: "SYST", Type: "TYPE", User: "USER",
	Xcup: "XCUP", Xcwd: "XCWD", Xmkd: "XMKD", Xpwd: "XPWD", Xrmd: "XRMD",
	Lprt: "LPRT", Lpsv: "LPSV",
	Adat: "ADAT", Auth: "AUTH", Ccc: "CCC", Conf: "CONF", Enc: "ENC", Mic: "MIC",
	Pbsz: "PBSZ", Prot: "PROT",
	Feat: "FEAT", Opts: "OPTS", Eprt: "EPRT", Epsv: "EPSV", Lang: "LANG", Mdtm: "MDTM",
	Mlsd: "MLSD", Mlst: "MLST", Size: "SIZE", Algs: "ALGS", Host: "HOST",
	Avbl: "AVBL", Clnt: "CLNT", Comb: "COMB", Csid: "CSID", Dsiz: "DSIZ", Hash: "HASH",
	Mfct: "MFCT", Mff: "MFF", Mfmt: "MFMT", Rang: "RANG", Rmda: "RMDA", Thmb: "THMB",
	Xcrc: "XCRC", Xmd5: "XMD5", Xsha: "XSHA", Xsha1: "XSHA1", Xsha256: "XSHA256",
	Xsha512: "XSHA512", Cpsv: "CPSV", Esta: "ESTA", Estp: "ESTP", Macb: "MACB", Md5: "MD5",
	Mmd5: "MMD5", Pret: "PRET", Sscn: "SSCN", Xsha384: "XSHA384",
}

var verbs = func() map[string]Verb {
	m := make(map[string]Verb, len(names))
	for v, name := range names {
		m[name] = Verb(v)
	}
	delete(m, names[Other]) // it stands for all the words without an entry
	return m
}()

// String returns the verb in capitals, and "OTHER" for what is not in the table.
func (v Verb) String() string {
	if int(v) < len(names) {
		return names[v]
	}
	return names[Other]
}

// Transfer reports whether the verb is of a command that uses a data connection.
func (v Verb) Transfer() bool {
	switch v {
	case Retr, Stor, Stou, Appe, List, Nlst, Mlsd:
		return true
	}
	return false
}

// Announces reports whether the verb announces a data port or asks for one.
func (v Verb) Announces() bool {
	switch v {
	case Port, Eprt, Lprt, Pasv, Epsv, Lpsv, Cpsv:
		return true
	}
	return false
}
