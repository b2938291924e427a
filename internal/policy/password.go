package policy

// PasswordFacts is what is known of a new password: gathered by factor, judged here.
type PasswordFacts struct {
	Length int // characters, after NFC
	Min    int // the rules' shortest
	Bits   int // estimated entropy
	Common bool
	Own    bool // it is, or nearly is, the person's name, address or organisation

	Breached bool // it is on the operator's list of stolen passwords
}

// PasswordFault is why a password is refused; the catalogue says it as "password." + fault.
type PasswordFault string

// The faults, in the order in which they are told.
const (
	TooShort    PasswordFault = "too_short"
	TooLong     PasswordFault = "too_long"
	TooOwn      PasswordFault = "too_own"
	TooCommon   PasswordFault = "too_common"
	TooBreached PasswordFault = "breached"
	TooSimple   PasswordFault = "too_simple"
)

// leastBits is what eight random lower-case letters just reach; eight digits, or a few letters over and over, do not.
const leastBits = 36

// JudgePassword returns why a new password is refused, or nothing. There are no rules of composition: stricter means longer.
func JudgePassword(f PasswordFacts) PasswordFault {
	switch {
	case f.Length < f.Min:
		return TooShort
	case f.Length > MaxLength:
		return TooLong
	case f.Own:
		return TooOwn
	case f.Common:
		return TooCommon
	case f.Breached:
		return TooBreached
	case f.Bits < leastBits:
		return TooSimple
	}
	return ""
}
