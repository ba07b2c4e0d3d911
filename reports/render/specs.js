// The table of all specs. It is unpacked when it is first needed, and filtered and sorted here; only
// one page of it is in the document.
var PAGE = 100; // rows in the document
var STATES = ['passed', 'failed', 'skipped', 'pending', 'flaky'];
var TONE = ['held', 'broken', '', '', 'inconclusive'];
var RANK = [4, 0, 2, 3, 1]; // order of states: failed, flaky, skipped, pending, passed
var T = null; // the columns, see specTable
var ui = null; // elements of the table
var orders = {}; // cached orders of all rows, by column
var lowered = ''; // the leaves in lower case, one per line, for the search
var unpacked = null; // the promise of unpack

function unpack() {
  var holder = document.getElementById('specs-packed');
  unpacked = unpacked || (holder ? unzip(decoded(holder)).then(function (text) {
    T = JSON.parse(text);
    lowered = T.leaves.toLowerCase();
    T.leaves = T.leaves ? T.leaves.split('\n') : [];
    ['container', 'suite', 'kind', 'cell', 'owner', 'category', 'file', 'line', 'took', 'label', 'system', 'past'].forEach(function (n) { T[n] = column(T[n]); });
    build();
  }) : Promise.resolve());
  return unpacked;
}
// unzip reads from the stream directly. With a Blob or a Response, the browser would copy the data
// through another process.
function unzip(bytes) {
  var stream = new DecompressionStream('gzip'), writer = stream.writable.getWriter(), reader = stream.readable.getReader(), decoder = new TextDecoder(), text = [];
  writer.write(bytes);
  writer.close();
  return reader.read().then(function next(part) {
    if (part.done) { return text.join('') + decoder.decode(); }
    text.push(decoder.decode(part.value, { stream: true }));
    return reader.read().then(next);
  });
}
// column decodes a column: see column.MarshalJSON.
function column(c) {
  if (Array.isArray(c)) { return c; }
  var all = [];
  for (var k = 0; k < c.r.length; k += 2) {
    for (var n = 0; n < c.r[k + 1]; n++) { all.push(c.r[k]); }
  }
  return all;
}
function decoded(holder) {
  var packed = holder.getAttribute('data-table');
  holder.remove();
  if (Uint8Array.fromBase64) { return Uint8Array.fromBase64(packed, { alphabet: 'base64url' }); }
  var text = atob(packed.replace(/-/g, '+').replace(/_/g, '/')), bytes = new Uint8Array(text.length);
  for (var i = 0; i < text.length; i++) { bytes[i] = text.charCodeAt(i); }
  return bytes;
}

function of(list, i) { return i < 0 ? '' : list[i]; }
function stateOf(i) { return T.states.charCodeAt(i) - 48; }
function idOf(i) { return T.ids.substr(i * T.idLength, T.idLength); }
function rowOf(id) {
  for (var at = T.ids.indexOf(id); at >= 0; at = T.ids.indexOf(id, at + 1)) {
    if (at % T.idLength === 0 && id.length === T.idLength) { return at / T.idLength; }
  }
  return -1;
}
function labelsOf(i) { return of(T.labelSets, T.label[i]) || []; }
function nameOf(i) { return of(T.containers, T.container[i]) + T.leaves[i]; }

// searcher returns a function that reports whether a row contains a text in its containers, leaf,
// suite, file or labels.
function searcher(q) {
  var has = function (s) { return s.toLowerCase().indexOf(q) >= 0; }, suites = T.suites.map(has), files = T.files.map(has), labels = T.labels.map(has), containers = T.containers.map(has);
  var sets = T.labelSets.map(function (set) { return set.some(function (l) { return labels[l]; }); });
  var names = new Uint8Array(T.leaves.length);
  for (var row = 0, start = 0, at = lowered.indexOf(q); at >= 0; at = lowered.indexOf(q, start)) {
    for (var end = lowered.indexOf('\n', start); end >= 0 && end < at; end = lowered.indexOf('\n', start)) { start = end + 1; row++; }
    names[row] = 1;
    if (end < 0) { break; }
    start = end + 1;
    row++;
  }
  return function (i) { return names[i] || containers[T.container[i]] || suites[T.suite[i]] || files[T.file[i]] || sets[T.label[i]]; };
}

// The filters with choices: name in the fragment, text if nothing is chosen, choices, and test of a
// row.
function filters() {
  var column = function (name, list) { return { of: list, has: function (i, k) { return T[name][i] === k; } }; };
  var moves = column('kind', T.kinds);
  moves.show = T.kinds.filter(function (k) { return !/^(passed|failed|skipped|pending|absent)-/.test(k); });
  var set = function (name, sets, list) { return { of: list, has: function (i, k) { return (of(T[sets], T[name][i]) || []).indexOf(k) >= 0; } }; };
  return [['suite', 'every suite', column('suite', T.suites)], ['kind', 'every move', moves], ['owner', 'every owner', column('owner', T.owners)],
    ['category', 'every category', column('category', T.categories)], ['label', 'every label', set('label', 'labelSets', T.labels)],
    ['system', 'failing on any system', set('system', 'systemSets', T.systems)], ['cell', '', column('cell', T.kinds)]];
}

function build() {
  var box = document.getElementById('spec-table');
  ui = { tabs: el('div', { 'class': 'status', role: 'group', 'aria-label': 'State' }), choices: {}, tests: {} };
  ui.q = el('input', { id: 'q', type: 'search', autocomplete: 'off', spellcheck: 'false', placeholder: 'name, file, label', 'aria-keyshortcuts': '/' });
  ui.clear = el('button', { type: 'button', id: 'clear' }, ['show all']);
  var bar = el('div', { 'class': 'bar-find', role: 'search', 'aria-label': 'Filter the specs' }, [el('label', { 'for': 'q' }, ['Search']), ui.q]);
  filters().forEach(function (f) {
    ui.tests[f[0]] = f[2];
    if (f[1]) { ui.choices[f[0]] = choice(f[0], f[1], (f[2].show || f[2].of).slice().sort().slice(0, 500)); bar.append(ui.choices[f[0]]); }
  });
  var groups = [['', 'not grouped'], ['suite', 'by suite', T.suites], ['owner', 'by owner', T.owners], ['category', 'by category', T.categories], ['file', 'by file', T.files], ['kind', 'by move', T.kinds]];
  ui.group = el('select', { id: 'group', 'aria-label': 'Group' });
  groups.forEach(function (g) { if (!g[2] || g[2].length) { ui.group.append(el('option', { value: g[0] }, [g[1]])); } });
  bar.append(ui.group, ui.clear);
  ui.hides = el('p', { id: 'hides', role: 'status' });
  var head = el('tr');
  ui.head = {};
  [['name', 'spec', ''], ['state', 'state', ''], ['kind', 'moved', ''], ['cells', 'runs', ''], ['took', 'took', 'num']].forEach(function (c) {
    var b = el('button', { type: 'button', 'class': 'sort', 'data-sort': c[0] }, [c[1]]);
    ui.head[c[0]] = el('th', { scope: 'col', 'class': c[2] }, [b]);
    head.append(ui.head[c[0]]);
  });
  ui.body = el('tbody');
  ui.pager = el('p', { 'class': 'pager' });
  box.append(ui.tabs, bar, ui.hides, el('div', { 'class': 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table: All specs' }, [
    el('table', { 'class': 'specs' }, [el('caption', {}, ['All specs of this run; a name links to its runs']), el('thead', {}, [head]), ui.body])]), ui.pager);
  ui.q.addEventListener('input', function () { put('q', ui.q.value); });
  ui.group.addEventListener('input', function () { put('group', ui.group.value); });
  Object.keys(ui.choices).forEach(function (n) { ui.choices[n].addEventListener('input', function () { put(n, ui.choices[n].value); }); });
  ui.clear.addEventListener('click', clear);
  box.addEventListener('click', clicked);
}
function choice(name, label, values) {
  var s = el('select', { id: name, 'aria-label': label }, [el('option', { value: '' }, [label])]);
  values.forEach(function (v) { s.append(el('option', { value: v }, [v])); });
  s.hidden = values.length === 0;
  return s;
}
function clicked(e) {
  var sort = e.target.closest('[data-sort]'), status = e.target.closest('[data-status]'), page = e.target.closest('[data-page]');
  if (sort) {
    var now = params().get('sort'), by = sort.getAttribute('data-sort');
    put('sort', now === by ? '-' + by : now === '-' + by ? '' : by);
  }
  if (status) { put('status', status.getAttribute('data-status')); }
  if (page) { put('page', page.getAttribute('data-page')); ui.tabs.scrollIntoView(); }
}
function put(name, value) {
  var p = params();
  p.set('view', 'specs');
  if (value) { p.set(name, value); } else { p.delete(name); }
  if (name !== 'page') { p.delete('page'); }
  if (name === 'kind') { p.delete('cell'); }
  history.replaceState(null, '', '#' + p.toString());
  table();
}
function clear() {
  history.replaceState(null, '', '#view=specs');
  if (ui) { ui.q.value = ''; table(); }
}

// sorted returns all rows in the order of a column.
function sorted(by) {
  if (orders[by]) { return orders[by]; }
  var all = T.leaves.map(function (_, i) { return i; });
  var key = { took: function (i) { return -T.took[i]; }, name: function (i) { return nameOf(i).toLowerCase(); }, kind: function (i) { return of(T.kinds, T.kind[i]) || '\uffff'; },
    cells: function (i) { return -failures(i); }, state: function (i) { return RANK[stateOf(i)]; } }[by] || function () { return 0; };
  var keys = all.map(key);
  orders[by] = all.sort(function (a, b) { return keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b; });
  return orders[by];
}
function failures(i) { return (cellsOf(of(T.pasts, T.past[i])).match(/[FRB]/g) || []).length; }

// select returns the rows of all that match the filters except that for the state.
function select(p, all) {
  var q = (p.get('q') || '').toLowerCase().trim(), tests = [], found = q && searcher(q);
  Object.keys(ui.tests).forEach(function (n) {
    if (p.get(n)) { tests.push([ui.tests[n], ui.tests[n].of.indexOf(p.get(n))]); }
  });
  return all.filter(function (i) {
    for (var k = 0; k < tests.length; k++) { if (tests[k][1] < 0 || !tests[k][0].has(i, tests[k][1])) { return false; } }
    return !q || found(i);
  });
}

function table() {
  if (!ui) { return; }
  var p = params(), status = p.get('status') || '', sort = p.get('sort') || 'state', down = sort[0] === '-', by = sort.replace('-', ''), group = p.get('group') || '';
  if (ui.q !== document.activeElement) { ui.q.value = p.get('q') || ''; }
  Object.keys(ui.choices).forEach(function (n) { ui.choices[n].value = p.get(n) || ''; });
  ui.group.value = group;
  if (!T[group]) { group = ''; }
  var any = select(p, sorted(by)), counts = [0, 0, 0, 0, 0];
  any.forEach(function (i) { counts[stateOf(i)]++; });
  ui.tabs.replaceChildren.apply(ui.tabs, [''].concat(STATES).filter(function (s, k) { return !s || counts[k - 1] || s === status; }).map(function (s) {
    return el('button', { type: 'button', 'data-status': s, 'aria-pressed': String(s === status) }, [(s || 'all') + ' ' + count(s ? counts[STATES.indexOf(s)] : any.length)]);
  }));
  var wanted = STATES.indexOf(status), rows = wanted < 0 ? any : any.filter(function (i) { return stateOf(i) === wanted; });
  if (down) { rows = rows.slice().reverse(); }
  if (group) { rows = rows.slice().sort(function (a, b) { return T[group][a] - T[group][b]; }); }
  Object.keys(ui.head).forEach(function (n) { ui.head[n].setAttribute('aria-sort', n !== by ? 'none' : down ? 'descending' : 'ascending'); });
  var pages = Math.max(1, Math.ceil(rows.length / PAGE)), page = Math.min(pages, Math.max(1, Number(p.get('page')) || 1));
  var last = -2, all = document.createDocumentFragment();
  rows.slice((page - 1) * PAGE, page * PAGE).forEach(function (i) {
    if (group && T[group][i] !== last) {
      last = T[group][i];
      all.append(el('tr', { 'class': 'suite' }, [el('th', { colspan: '5', scope: 'rowgroup' }, [of(groupNames(group), last) || 'none'])]));
    }
    all.append(tableRow(i));
  });
  ui.body.replaceChildren(all);
  turner(page, pages);
  hides(p, rows.length);
}
function groupNames(group) { return { suite: T.suites, owner: T.owners, category: T.categories, file: T.files, kind: T.kinds }[group]; }
function turner(page, pages) {
  ui.pager.replaceChildren();
  if (pages < 2) { return; }
  if (page > 1) { ui.pager.append(el('button', { type: 'button', 'data-page': String(page - 1) }, ['previous'])); }
  ui.pager.append(' page ' + count(page) + ' of ' + count(pages) + ' ');
  if (page < pages) { ui.pager.append(el('button', { type: 'button', 'data-page': String(page + 1) }, ['next'])); }
}
// hides shows how many specs the filters hide.
function hides(p, n) {
  var hidden = T.leaves.length - n;
  ui.hides.textContent = hidden ? count(n) + ' of ' + plural(T.leaves.length, 'spec') + (n === 1 ? ' matches' : ' match') + (p.get('cell') ? ': ' + p.get('cell').replace('-', ' before, ') + ' now' : '') + '; ' + count(hidden) + ' hidden. Esc shows all.' : '';
}

function tableRow(i) {
  var state = stateOf(i), name = el('td', { 'class': 'name' }, [el('a', { href: '#spec=' + idOf(i) }, [nameOf(i)]), el('span', { 'class': 'soft small' }, [' ' + of(T.suites, T.suite[i])])]);
  return el('tr', { 'data-spec-row': idOf(i) }, [name, el('td', { 'class': 'nw' + (TONE[state] ? ' tone-' + TONE[state] : '') }, [STATES[state]]), el('td', { 'class': 'nw' }, [of(T.kinds, T.kind[i])]),
    el('td', {}, [T.runs.length ? strip(of(T.pasts, T.past[i])) : '']), el('td', { 'class': 'num' }, [took(T.took[i])])]);
}

function cellsOf(packed) { return packed.replace(/(\d+)(\D)/g, function (_, n, c) { return c.repeat(Number(n)); }); }
var CLASS = { '.': 'p', F: 'f', R: 'r', B: 'r', s: 's', p: 's' };

// strip draws the outcomes of the last 30 runs, with one path per class of outcome.
function strip(packed) {
  var all = cellsOf(packed), cells = all.slice(-30), paths = {}, bad = (all.match(/[FB]/g) || []).length;
  for (var i = 0, n; i < cells.length; i += n) {
    for (n = 1; cells[i + n] === cells[i];) { n++; }
    var c = CLASS[cells[i]];
    if (c) { paths[c] = (paths[c] || '') + 'M' + i + ' 0h' + n + 'v1h-' + n + 'z'; }
  }
  return svg('svg', { 'class': 'strip', role: 'img', 'aria-label': bad + ' of ' + plural(all.replace(/ /g, '').length, 'run') + ' failed', viewBox: '0 0 ' + Math.max(1, cells.length) + ' 1', preserveAspectRatio: 'none' },
    Object.keys(paths).map(function (c) { return svg('path', { 'class': c, d: paths[c] }); }));
}
