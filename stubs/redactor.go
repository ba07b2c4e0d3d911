package stubs

// Redactor takes secrets out of texts by the rules of cassettes and puts
// "[redacted:rule]" in their place: keys and tokens of known forms, values of fields
// that are named as secrets are, passwords in URLs, and what merely looks random. A
// secret that was found is known from then on, in whatever text it occurs; to redact
// twice changes nothing more. What looks like a word is not found.
//
// Its zero value is ready to use, by several goroutines at once.
type Redactor struct{ red redactor }

// Text returns the text without the secrets in it. Where it finds one by its name, it
// looks again: the same may stand in front of it.
func (r *Redactor) Text(text string) string {
	before := r.red.learned()
	text = r.red.text(text, "")
	if r.red.learned() > before {
		text = r.red.text(text, "")
	}
	return text
}
