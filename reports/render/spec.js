// The page of one spec, and the comparison of two runs.
var WORDS = { '.': 'passed', F: 'failed', R: 'passed when retried', B: 'passed and failed', s: 'skipped', p: 'pending', ' ': 'not in the run' };

function runName(r) { return 'run ' + r.n + (r.t ? ', ' + r.t : '') + (r.c ? ', ' + r.c : ''); }
function list(term, value, facts) { if (value) { facts.append(el('dt', {}, [term]), el('dd', {}, [value])); } }

// source returns the address of a line, or '' for a file outside of the module.
function source(file, line) {
  if (!T.fileURL || /^[\/\\]|:|(^|\/)\.\.\//.test(file)) { return ''; }
  return T.fileURL + file.split('/').map(encodeURIComponent).join('/') + (line ? '#L' + line : '');
}

// specPage draws the page of one spec.
function specPage(id) {
  var box = document.getElementById('spec-page'), i = T ? rowOf(id) : -1;
  box.replaceChildren(el('p', { 'class': 'small' }, [el('a', { href: '#view=specs' }, ['All specs'])]));
  if (i < 0) {
    box.append(el('h2', { tabindex: '-1' }, ['No such spec']), el('p', {}, ['This run has no spec ' + id + '.']));
    return;
  }
  var cells = cellsOf(of(T.pasts, T.past[i])), more = T.details[id] || {};
  box.append(el('h2', { tabindex: '-1' }, [nameOf(i)]), specFacts(i, cells, more));
  whole(document);
  var card = document.querySelector('article[data-spec="' + id + '"] > details');
  if (card) {
    box.append(el('h3', {}, ['This run']));
    Array.from(card.children).slice(1).forEach(function (c) { box.append(c.cloneNode(true)); });
    box.querySelectorAll('a[href^="#spec="]').forEach(function (a) { a.remove(); });
    box.querySelectorAll('.repeated').forEach(function (e) { e.remove(); }); // the list of facts contains it
  } else if (stateOf(i) === 1) {
    box.append(el('p', {}, ['Its message is not in this page, which contains only the messages of the first failed specs: flujo-harness report --json writes all.']));
  }
  attached(box, more.attached);
  pastFailures(box, more);
  if (cells) { box.append(el('h3', {}, ['Runs, oldest first']), wholeStrip(cells), key()); }
  durations(box, (T.times || [])[i]);
  box.querySelector('h2').focus({ preventScroll: true });
}

function specFacts(i, cells, more) {
  var facts = el('dl', { 'class': 'facts' }), state = stateOf(i), suite = of(T.suites, T.suite[i]), file = of(T.files, T.file[i]);
  list('state', el('strong', { 'class': TONE[state] ? 'tone-' + TONE[state] : '' }, [STATES[state]]), facts);
  list('whose', more.whose, facts);
  list('moved', of(T.kinds, T.kind[i]), facts);
  list('quarantine', more.quarantine, facts);
  list('suite', el('a', { href: '#view=specs&suite=' + encodeURIComponent(suite) }, [suite]), facts);
  list('where', file && out(source(file, T.line[i]), el('code', {}, [file + (T.line[i] ? ':' + T.line[i] : '')])), facts);
  var owner = of(T.owners, T.owner[i]);
  list('owner', owner && el('a', { href: '#view=specs&owner=' + encodeURIComponent(owner) }, [owner]), facts);
  list('labels', labelsOf(i).map(function (l) { return T.labels[l]; }).join(', '), facts);
  list('took', took(T.took[i]), facts);
  list('fails on', (of(T.systemSets, T.system[i]) || []).map(function (s) { return T.systems[s]; }).join(', '), facts);
  list('passes on', more.green, facts);
  if (cells) {
    var ran = cells.replace(/[ sp]/g, '').length, bad = (cells.match(/[FB]/g) || []).length, last = cells.lastIndexOf('.');
    list('runs', bad + ' of ' + plural(ran, 'run') + ' failed', facts);
    if (state === 1) { list('last passed', last < 0 ? 'in none of these runs' : runName(T.runs[last]), facts); }
    var first = cells.length - 1;
    while (first > 0 && /[FB]/.test(cells[first - 1])) { first--; }
    if (state === 1 && first < cells.length) { list('failing since', runName(T.runs[first]), facts); }
  }
  return facts;
}

// attached lists the attachments of a spec without a card. Only relative paths and web addresses are
// links.
function attached(box, all) {
  if (!all) { return; }
  var p = el('p', { 'class': 'attached' }, ['Attached: ']);
  all.forEach(function (a, k) {
    var safe = a.u && (/^https?:/.test(a.u) || !/^[a-z][a-z0-9+.-]*:/i.test(a.u));
    p.append(k ? ', ' : '', safe ? el('a', { href: a.u, rel: 'noreferrer noopener' }, [a.n]) : a.n, a.t ? el('span', { 'class': 'soft small' }, [' (' + a.t + ')']) : '');
  });
  box.append(p);
}

// pastFailures shows each distinct failure message of earlier runs once.
function pastFailures(box, more) {
  if (!more.failures || !more.failures.length) { return; }
  box.append(el('h3', {}, ['Failures in earlier runs']));
  more.failures.forEach(function (f) {
    var runs = f.runs.map(function (k) { return T.runs[k]; });
    var text = el('pre', { tabindex: '0' });
    f.lines.forEach(function (l, k) {
      var line = (k ? '\n' : '') + l[1];
      text.append(l[0] === ' ' ? line : el('span', { 'class': l[0] === '-' ? 'del' : 'ins' }, [(k ? '\n' : '') + l[0] + ' ' + l[1]]));
    });
    box.append(el('details', { 'class': 'with-print' }, [el('summary', {}, [plural(f.runs.length, 'run') + ', the last: ' + runName(runs[runs.length - 1])]),
      el('p', { 'class': 'small soft' }, [f.same ? 'The same message as in this run. ' : 'Lines with - are only in the message of that run, lines with + only in that of this run. ', 'Runs ' + runs.map(function (r) { return r.n; }).join(', ')]), text]));
  });
}

function wholeStrip(cells) {
  var kids = [], bad = (cells.match(/[FB]/g) || []).length;
  for (var i = 0; i < cells.length; i++) {
    if (CLASS[cells[i]]) { kids.push(svg('rect', { x: i, y: 0, width: 1, height: 1, 'class': CLASS[cells[i]] }, [svg('title', {}, [runName(T.runs[i]) + ': ' + WORDS[cells[i]]])])); }
  }
  return svg('svg', { 'class': 'strip', role: 'img', 'aria-label': bad + ' of ' + plural(cells.replace(/ /g, '').length, 'run') + ' failed', viewBox: '0 0 ' + Math.max(1, cells.length) + ' 1', preserveAspectRatio: 'none' }, kids);
}
function key() {
  return el('p', { 'class': 'small soft' }, ['run ' + T.runs[0].n + ' to run ' + T.runs[T.runs.length - 1].n + '; green passed, red failed, yellow both, grey skipped']);
}

function durations(box, times) {
  if (!times || !times.some(Boolean)) { return; }
  var most = Math.max.apply(null, times), kids = [], from = T.runs.length - times.length;
  times.forEach(function (t, i) {
    var h = 28 * t / most;
    if (t) { kids.push(svg('rect', { 'class': 'dur', x: i + 0.1, y: 30 - h, width: 0.8, height: h }, [svg('title', {}, [runName(T.runs[from + i]) + ': ' + took(t)])])); }
  });
  box.append(el('h3', {}, ['Durations']), svg('svg', { 'class': 'durations', role: 'img', 'aria-label': 'durations of the last ' + plural(times.length, 'run') + ', at most ' + took(most), viewBox: '0 0 ' + times.length + ' 30', preserveAspectRatio: 'none' }, kids),
    el('p', { 'class': 'small soft' }, ['the last ' + plural(times.length, 'run') + '; the longest took ' + took(most)]));
}

// compareRuns compares the outcomes of the specs of this run in two runs, such as "12,15".
var picked = null; // the two lists of runs
function compareRuns(which) {
  var box = document.getElementById('compare');
  if (!box || !T || T.runs.length < 2) { return; }
  if (!picked) {
    picked = ['the first run', 'the second run'].map(function (label, k) {
      var s = el('select', { id: 'compare-' + k, 'aria-label': label }, T.runs.map(function (r, i) { return el('option', { value: r.n }, [runName(r)]); }).reverse());
      s.addEventListener('input', function () { location.hash = '#compare=' + picked[0].value + ',' + picked[1].value; });
      return s;
    });
    box.append(el('p', { 'class': 'bar-find plain' }, ['Compare ', picked[0], ' with ', picked[1]]), el('div', { id: 'compared' }));
  }
  var names = (which || '').split(','), at = names.map(function (n) { return T.runs.findIndex(function (r) { return r.n === n; }); });
  if (at.length !== 2 || at[0] < 0 || at[1] < 0) { at = [T.runs.length - 2, T.runs.length - 1]; }
  picked.forEach(function (s, k) { s.value = T.runs[at[k]].n; });
  document.getElementById('compared').replaceChildren.apply(document.getElementById('compared'), which ? compared(at[0], at[1]) : []);
  if (which) { box.scrollIntoView(); }
}
function compared(a, b) {
  var moves = {}, n = 0, rows = [];
  var past = T.pasts.map(function (packed) { var c = cellsOf(packed); return [c[a] || ' ', c[b] || ' ']; });
  T.past.forEach(function (k, i) {
    if (k < 0 || past[k][0] === past[k][1]) { return; }
    var words = WORDS[past[k][0]] + ', then ' + WORDS[past[k][1]];
    n++;
    moves[words] = (moves[words] || 0) + 1;
    rows.push([i, words, /[FB]/.test(past[k][1]) ? 'broken' : /[FB]/.test(past[k][0]) ? 'held' : '']);
  });
  var order = { broken: 0, held: 1, '': 2 };
  rows.sort(function (x, y) { return order[x[2]] - order[y[2]] || x[0] - y[0]; });
  var body = el('tbody', {}, rows.slice(0, 200).map(function (r) {
    return el('tr', {}, [el('td', { 'class': 'name' }, [el('a', { href: '#spec=' + idOf(r[0]) }, [nameOf(r[0])])]), el('td', { 'class': 'nw' + (r[2] ? ' tone-' + r[2] : '') }, [r[1]])]);
  }));
  var all = [el('p', {}, [n ? plural(n, 'spec') + ' of this run ' + (n === 1 ? 'differs' : 'differ') + ': ' + Object.keys(moves).map(function (w) { return count(moves[w]) + ' ' + w; }).join('; ') + '.' : 'No spec of this run differs between the two.'])];
  if (n) {
    all.push(el('div', { 'class': 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table: Specs that differ' }, [el('table', { 'class': 'specs' }, [
      el('caption', {}, [runName(T.runs[a]) + ' and ' + runName(T.runs[b]) + (n > 200 ? '; the first 200' : '')]), el('thead', {}, [el('tr', {}, [el('th', { scope: 'col' }, ['spec']), el('th', { scope: 'col' }, ['how'])])]), body])]));
  }
  return all;
}
