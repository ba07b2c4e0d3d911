package reports

// tellAges finds since when each failure of the run fails. Runs in which a spec did
// not run neither end its row of failures nor lengthen it. It looks back beyond the
// window, as far as it must.
func (a *accountant) tellAges() error {
	a.ages = map[string]Age{}
	if a.a.Run.Suites == nil {
		return nil
	}
	for i := range a.a.Run.Suites.Specs {
		if s := &a.a.Run.Suites.Specs[i]; s.State == Failed {
			a.ages[s.Key()] = Age{}
		}
	}
	w, oldest, rest := a.w, a.all[0], a.rest
	for {
		open := false
		for key, age := range a.ages {
			if !age.Known {
				age.lookBack(w, a.ids[key])
				a.ages[key] = age
			}
			open = open || !age.Known
		}
		if !open || rest == 0 {
			return nil
		}
		f := runFilter{a.past.which, append([]any{oldest.at, oldest.ID}, a.past.args[2:]...)}
		rows, err := f.before(a.reader, DefaultWindow)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		oldest, rest = rows[0], rest-len(rows)
		if w, err = a.window(rows, 0); err != nil {
			return err
		}
	}
}

// lookBack goes on where it stopped in the runs behind w.
func (age *Age) lookBack(w *window, id int64) {
	var codes []byte
	if id < int64(len(w.codes)) {
		codes = w.codes[id]
	}
	if codes == nil {
		age.Known = len(w.runs) > 0 // there was no such spec
		return
	}
	for i := len(codes) - 1; i >= 0; i-- {
		switch outcomeOf(codes[i]) {
		case bad:
			age.Runs++
			age.Since, age.Time = w.runs[i], w.runs[i].Started
		case good, rescued, torn:
			last := w.runs[i]
			age.LastPassed, age.Known = &last, true
			return
		}
	}
	age.Known = codes[0] == absent // it is younger than these runs
}
