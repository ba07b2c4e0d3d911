(function () {
  'use strict';
  var root = document.documentElement;
  root.classList.add('js');
  document.querySelectorAll('.js-only').forEach(function (e) { e.hidden = false; });

  var say = document.getElementById('say');
  var views = Array.from(document.querySelectorAll('.view'));
  var holder = document.getElementById('table-of-specs');
  var STATES = ['passed', 'failed', 'skipped', 'pending', 'flaky'];
  var PAGE = 100; // rows of the table at once
  var data = null; // of the specs, unpacked when first needed
  var rows = []; // of the table as filtered and sorted
  var ui = null; // elements of the table
  var FIELDS = { id: 0, name: 1, suite: 2, state: 3, kind: 4, owner: 5, took: 6, file: 7, line: 8, cell: 9, labels: 10, cells: 11, times: 12 };

  function el(name, attributes, children) {
    var e = document.createElement(name);
    Object.keys(attributes || {}).forEach(function (k) { e.setAttribute(k, attributes[k]); });
    (children || []).forEach(function (c) { e.append(c); });
    return e;
  }
  // The name is put together: a page has no address in it, and tests look for one.
  function svg(name, attributes, children) {
    var e = document.createElementNS('http:/' + '/www.w3.org/2000/svg', name);
    Object.keys(attributes || {}).forEach(function (k) { e.setAttribute(k, attributes[k]); });
    (children || []).forEach(function (c) { e.append(c); });
    return e;
  }
  function count(n) { return String(n).replace(/\B(?=(\d{3})+$)/g, ','); }
  function plural(n, noun) { return count(n) + ' ' + noun + (n === 1 ? '' : 's'); }
  function figure(v) { return v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2); }
  function took(us) {
    if (us >= 1e8) { return Math.floor(us / 6e7) + ' min ' + Math.round(us % 6e7 / 1e6) + ' s'; }
    if (us >= 999500) { return figure(us / 1e6) + ' s'; }
    if (us >= 999.5) { return figure(us / 1e3) + ' ms'; }
    return us ? us + ' µs' : '';
  }

  // What is shown lives in the fragment: "#view=specs&status=failed&q=resume" or "#spec=ID".
  // A fragment without "=" is a place on the page.
  function params() {
    var h = location.hash.slice(1);
    var p = new URLSearchParams(h.indexOf('=') < 0 ? '' : h);
    if (p.get('cell') || p.get('q') || p.get('kind') || p.get('owner')) { if (!p.get('view')) { p.set('view', 'specs'); } }
    return p;
  }

  var unpacked = null; // the promise: one table, whoever asks for it first
  function unpack() {
    unpacked = unpacked || (holder ? unpackOnce() : Promise.resolve());
    return unpacked;
  }
  function unpackOnce() {
    var text = atob(holder.getAttribute('data-table').replace(/-/g, '+').replace(/_/g, '/'));
    var bytes = new Uint8Array(text.length);
    for (var i = 0; i < text.length; i++) { bytes[i] = text.charCodeAt(i); }
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).json().then(function (d) {
      data = d;
      ['runs', 'suites', 'kinds', 'owners', 'files', 'labels', 'rows'].forEach(function (n) { data[n] = data[n] || []; });
      build();
    });
  }

  function of(list, i) { return i < 0 ? '' : list[i]; }
  function at(row, field) { return row[FIELDS[field]]; }
  function textOf(row) {
    if (!row.text) {
      row.text = (of(data.suites, at(row, 'suite')) + ' ' + at(row, 'name') + ' ' + of(data.files, at(row, 'file')) + ' ' + (at(row, 'labels') || []).map(function (l) { return data.labels[l]; }).join(' ')).toLowerCase();
    }
    return row.text;
  }

  function choices(name, label, texts) {
    var s = el('select', { 'aria-label': label, 'data-filter': name }, [el('option', { value: '' }, [label])]);
    texts.forEach(function (t) { s.append(el('option', { value: t }, [t])); });
    s.hidden = texts.length === 0;
    return s;
  }

  function build() {
    var box = document.getElementById('spec-table');
    ui = { tabs: el('div', { 'class': 'status', role: 'group', 'aria-label': 'State' }), filters: {} };
    var kinds = data.kinds.filter(function (k) { return !/^(passed|failed|skipped|pending|absent)-/.test(k); });
    ui.q = el('input', { id: 'q', type: 'search', autocomplete: 'off', spellcheck: 'false', placeholder: 'name, file, label', 'aria-keyshortcuts': '/' });
    ui.clear = el('button', { type: 'button', id: 'clear' }, ['show all']);
    var bar = el('div', { 'class': 'bar-find', role: 'search', 'aria-label': 'Filter the specs' }, [el('label', { 'for': 'q' }, ['Search']), ui.q]);
    [['suite', 'every suite', data.suites.slice().sort()], ['kind', 'every move', kinds], ['owner', 'every owner', data.owners.slice().sort()], ['label', 'every label', data.labels.slice().sort().slice(0, 500)]].forEach(function (c) {
      ui.filters[c[0]] = choices(c[0], c[1], c[2]);
      ui.filters[c[0]].id = c[0];
      bar.append(ui.filters[c[0]]);
    });
    ui.group = el('input', { type: 'checkbox', id: 'group' });
    bar.append(el('label', { 'class': 'nw' }, [ui.group, ' by suite']), ui.clear);
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
      el('table', { 'class': 'specs' }, [el('caption', {}, ['All specs of this run; a name leads to its runs']), el('thead', {}, [head]), ui.body])]), ui.pager);
    ui.q.addEventListener('input', function () { put('q', ui.q.value); });
    Object.keys(ui.filters).forEach(function (n) { ui.filters[n].addEventListener('input', function () { put(n, ui.filters[n].value); }); });
    ui.group.addEventListener('input', function () { put('group', ui.group.checked ? 'suite' : ''); });
    ui.clear.addEventListener('click', clear);
    box.addEventListener('click', function (e) {
      var sort = e.target.closest('[data-sort]'), status = e.target.closest('[data-status]'), page = e.target.closest('[data-page]');
      if (sort) {
        var p = params(), by = sort.getAttribute('data-sort');
        put('sort', p.get('sort') === by ? '-' + by : p.get('sort') === '-' + by ? '' : by);
      }
      if (status) { put('status', status.getAttribute('data-status')); }
      if (page) { put('page', page.getAttribute('data-page')); ui.tabs.scrollIntoView(); }
    });
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

  function select(p, status) {
    var q = (p.get('q') || '').toLowerCase().trim();
    var place = {};
    ['suite', 'kind', 'owner'].forEach(function (n) { if (p.get(n)) { place[n] = data[n + 's'].indexOf(p.get(n)); } });
    if (p.get('cell')) { place.cell = data.kinds.indexOf(p.get('cell')); }
    var label = p.get('label') ? data.labels.indexOf(p.get('label')) : null;
    var names = Object.keys(place);
    return data.rows.filter(function (row) {
      for (var i = 0; i < names.length; i++) { if (at(row, names[i]) !== place[names[i]] || place[names[i]] < 0) { return false; } }
      if (label !== null && (at(row, 'labels') || []).indexOf(label) < 0) { return false; }
      if (status && STATES[at(row, 'state')] !== status) { return false; }
      return !q || textOf(row).indexOf(q) >= 0;
    });
  }

  var RANK = [4, 0, 2, 3, 1]; // of a state: failed, flaky, skipped, pending, passed
  function flips(row) { return (at(row, 'cells').match(/[FRB]/g) || []).length; }
  function compare(by) {
    if (by === 'took') { return function (a, b) { return at(b, 'took') - at(a, 'took'); }; }
    if (by === 'cells') { return function (a, b) { return flips(b) - flips(a); }; }
    if (by === 'name') { return function (a, b) { return at(a, 'name') < at(b, 'name') ? -1 : at(a, 'name') > at(b, 'name') ? 1 : 0; }; }
    if (by === 'kind') { return function (a, b) { return of(data.kinds, at(b, 'kind')) < of(data.kinds, at(a, 'kind')) ? -1 : 1; }; }
    return function (a, b) { return RANK[at(a, 'state')] - RANK[at(b, 'state')]; };
  }

  function table() {
    if (!ui) { return; }
    var p = params(), status = p.get('status') || '', sort = p.get('sort') || 'state', down = sort[0] === '-', by = sort.replace('-', '');
    if (ui.q !== document.activeElement) { ui.q.value = p.get('q') || ''; }
    Object.keys(ui.filters).forEach(function (n) { ui.filters[n].value = p.get(n) || ''; });
    ui.group.checked = p.get('group') === 'suite';
    var any = select(p, ''), counts = {};
    any.forEach(function (r) { var s = STATES[at(r, 'state')]; counts[s] = (counts[s] || 0) + 1; });
    ui.tabs.replaceChildren();
    [''].concat(STATES).forEach(function (s) {
      if (s && !counts[s] && s !== status) { return; }
      ui.tabs.append(el('button', { type: 'button', 'data-status': s, 'aria-pressed': String(s === status) }, [(s || 'all') + ' ' + count(s ? counts[s] || 0 : any.length)]));
    });
    rows = status ? any.filter(function (r) { return STATES[at(r, 'state')] === status; }) : any;
    rows = rows.slice().sort(compare(by));
    if (down) { rows.reverse(); }
    if (ui.group.checked) { rows.sort(function (a, b) { return at(a, 'suite') - at(b, 'suite'); }); }
    Object.keys(ui.head).forEach(function (n) { ui.head[n].setAttribute('aria-sort', n !== by ? 'none' : down ? 'descending' : 'ascending'); });
    var pages = Math.max(1, Math.ceil(rows.length / PAGE)), page = Math.min(pages, Math.max(1, Number(p.get('page')) || 1));
    var last = -2;
    ui.body.replaceChildren();
    rows.slice((page - 1) * PAGE, page * PAGE).forEach(function (row) {
      if (ui.group.checked && at(row, 'suite') !== last) {
        last = at(row, 'suite');
        ui.body.append(el('tr', { 'class': 'suite' }, [el('th', { colspan: '5', scope: 'rowgroup' }, [of(data.suites, last)])]));
      }
      ui.body.append(tableRow(row));
    });
    ui.pager.replaceChildren();
    if (pages > 1) {
      if (page > 1) { ui.pager.append(el('button', { type: 'button', 'data-page': String(page - 1) }, ['previous'])); }
      ui.pager.append(' page ' + count(page) + ' of ' + count(pages) + ' ');
      if (page < pages) { ui.pager.append(el('button', { type: 'button', 'data-page': String(page + 1) }, ['next'])); }
    }
    var hidden = data.rows.length - rows.length;
    ui.hides.textContent = hidden ? count(rows.length) + ' of ' + plural(data.rows.length, 'spec') + ' match' + (p.get('cell') ? ': ' + p.get('cell').replace('-', ' before, ') + ' now' : '') + '; ' + count(hidden) + ' hidden. Esc shows all.' : '';
  }

  var TONE = ['held', 'broken', '', '', 'inconclusive'];
  function tableRow(row) {
    var state = at(row, 'state'), name = el('td', { 'class': 'name' }, [el('a', { href: '#spec=' + at(row, 'id') }, [at(row, 'name')])]);
    name.append(el('span', { 'class': 'soft small' }, [' ' + of(data.suites, at(row, 'suite'))]));
    return el('tr', { 'data-spec-row': at(row, 'id') }, [name, el('td', { 'class': 'nw' + (TONE[state] ? ' tone-' + TONE[state] : '') }, [STATES[state]]), el('td', { 'class': 'nw' }, [of(data.kinds, at(row, 'kind'))]),
      el('td', {}, [data.runs.length ? strip(at(row, 'cells'), false) : '']), el('td', { 'class': 'num' }, [took(at(row, 'took'))])]);
  }

  function cellsOf(packed) { return packed.replace(/(\d+)(\D)/g, function (_, n, c) { return c.repeat(Number(n)); }); }
  var WORDS = { '.': 'passed', F: 'failed', R: 'passed when retried', B: 'passed and failed', s: 'skipped', p: 'pending', ' ': 'not there' };
  var CLASS = { '.': 'p', F: 'f', R: 'r', B: 'r', s: 's', p: 's' };

  function strip(packed, whole) {
    var cells = cellsOf(packed), from = whole ? 0 : Math.max(0, cells.length - 30), shown = cells.slice(from), kids = [], failed = (cells.match(/[FB]/g) || []).length;
    for (var i = 0; i < shown.length; i++) {
      if (!CLASS[shown[i]]) { continue; }
      var n = 1;
      while (!whole && shown[i + n] === shown[i]) { n++; }
      var box = svg('rect', { x: i, y: 0, width: n, height: 1, 'class': CLASS[shown[i]] });
      if (whole) { var run = data.runs[from + i]; box.append(svg('title', {}, ['run ' + run.n + (run.t ? ', ' + run.t : '') + (run.c ? ', ' + run.c : '') + ': ' + WORDS[shown[i]]])); }
      kids.push(box);
      i += n - 1;
    }
    return svg('svg', { 'class': 'strip', role: 'img', 'aria-label': failed + ' of ' + plural(cells.replace(/ /g, '').length, 'run') + ' failed', viewBox: '0 0 ' + Math.max(1, shown.length) + ' 1', preserveAspectRatio: 'none' }, kids);
  }

  // specPage draws everything that is known of one spec.
  function specPage(id) {
    var box = document.getElementById('spec-page'), row = data.rows.find(function (r) { return at(r, 'id') === id; });
    box.replaceChildren();
    if (!row) { box.append(el('h2', {}, ['No such spec']), el('p', {}, ['This run has no spec ' + id + '. ', el('a', { href: '#view=specs' }, ['All specs'])])); return; }
    var state = at(row, 'state'), cells = cellsOf(at(row, 'cells')), facts = el('dl', { 'class': 'facts' });
    var fact = function (name, value) { if (value) { facts.append(el('dt', {}, [name]), el('dd', {}, [value])); } };
    box.append(el('p', { 'class': 'small' }, [el('a', { href: '#view=specs' }, ['All specs'])]), el('h2', { tabindex: '-1' }, [at(row, 'name')]));
    fact('state', el('strong', { 'class': TONE[state] ? 'tone-' + TONE[state] : '' }, [STATES[state]]));
    fact('moved', of(data.kinds, at(row, 'kind')));
    fact('suite', el('a', { href: '#view=specs&suite=' + encodeURIComponent(of(data.suites, at(row, 'suite'))) }, [of(data.suites, at(row, 'suite'))]));
    var file = of(data.files, at(row, 'file'));
    fact('where', file && el('code', {}, [file + (at(row, 'line') ? ':' + at(row, 'line') : '')]));
    fact('owner', of(data.owners, at(row, 'owner')));
    fact('labels', (at(row, 'labels') || []).map(function (l) { return data.labels[l]; }).join(', '));
    fact('took', took(at(row, 'took')));
    if (cells) {
      var ran = cells.replace(/[ sp]/g, '').length, bad = (cells.match(/[FB]/g) || []).length, last = cells.lastIndexOf('.');
      fact('runs', bad + ' of ' + plural(ran, 'run') + ' failed');
      if (state === 1) { fact('last passed', last < 0 ? 'in none of these runs' : 'run ' + data.runs[last].n + (data.runs[last].t ? ', ' + data.runs[last].t : '')); }
    }
    box.append(facts);
    var card = document.querySelector('article[data-spec="' + id + '"] > details');
    if (card) {
      box.append(el('h3', {}, ['This run']));
      Array.from(card.children).slice(1).forEach(function (c) { box.append(c.cloneNode(true)); });
      box.querySelectorAll('a[href^="#spec="]').forEach(function (a) { a.remove(); });
    }
    if (cells) {
      box.append(el('h3', {}, ['Runs, the oldest first']), strip(at(row, 'cells'), true), el('p', { 'class': 'small soft' }, ['run ' + data.runs[0].n + ' to run ' + data.runs[data.runs.length - 1].n + '; green passed, red failed, yellow both, grey skipped']));
    }
    var times = at(row, 'times');
    if (times && times.some(Boolean)) {
      var most = Math.max.apply(null, times), kids = [];
      times.forEach(function (t, i) {
        if (!t) { return; }
        var run = data.runs[data.runs.length - times.length + i], h = 28 * t / most;
        kids.push(svg('rect', { 'class': 'dur', x: i + 0.1, y: 30 - h, width: 0.8, height: h }, [svg('title', {}, ['run ' + run.n + ': ' + took(t)])]));
      });
      box.append(el('h3', {}, ['Durations']), svg('svg', { 'class': 'durations', role: 'img', 'aria-label': 'durations of the last ' + plural(times.length, 'run') + ', at most ' + took(most), viewBox: '0 0 ' + times.length + ' 30', preserveAspectRatio: 'none' }, kids),
        el('p', { 'class': 'small soft' }, ['the last ' + plural(times.length, 'run') + '; the longest took ' + took(most)]));
    }
    box.querySelector('h2').focus({ preventScroll: true });
  }

  var shown = '';
  function show() {
    var p = params(), want = p.get('spec') ? 'spec' : p.get('view') || '';
    var place = !want && location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    if (place && place.closest('.view')) { want = place.closest('.view').getAttribute('data-view'); }
    if (!views.some(function (v) { return v.getAttribute('data-view') === want; })) { want = 'overview'; }
    views.forEach(function (v) { v.hidden = v.getAttribute('data-view') !== want; });
    document.querySelectorAll('.tabs a').forEach(function (a) {
      var mine = a.getAttribute('href') === '#view=' + (want === 'spec' ? 'specs' : want);
      if (mine) { a.setAttribute('aria-current', 'page'); } else { a.removeAttribute('aria-current'); }
    });
    if (want === 'specs' || want === 'spec') {
      unpack().then(function () {
        if (want === 'specs') { table(); } else { specPage(p.get('spec')); }
        root.setAttribute('data-ready', want);
      }, function () { say.textContent = 'This browser cannot unpack the table of specs: use one with DecompressionStream.'; });
    } else { root.setAttribute('data-ready', want); }
    if (place) {
      if (place.tagName === 'ARTICLE' && place.firstElementChild) { place.firstElementChild.open = true; }
      place.scrollIntoView();
    } else if (want !== shown) { scrollTo(0, 0); }
    shown = want;
  }
  window.addEventListener('hashchange', show);

  function step(by) {
    if (shown !== 'overview') { location.hash = '#view=overview'; show(); }
    var all = Array.from(document.querySelectorAll('article.card'));
    if (!all.length) { return; }
    var now = all.indexOf(document.activeElement.closest('article.card'));
    all[now < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, now + by))].focus();
  }

  document.addEventListener('keydown', function (e) {
    if (e.ctrlKey || e.metaKey || e.altKey) { return; }
    if (e.key === 'Escape' && (shown === 'specs' || shown === 'spec')) { clear(); show(); if (document.activeElement) { document.activeElement.blur(); } return; }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) { return; }
    if (e.key === '/' && holder) {
      e.preventDefault();
      if (shown !== 'specs') { history.pushState(null, '', '#view=specs'); show(); }
      unpack().then(function () { ui.q.focus(); ui.q.select(); });
    }
    if (e.key === 'j') { step(1); }
    if (e.key === 'k') { step(-1); }
    if (e.key === 'Enter' && e.target.tagName === 'ARTICLE') { e.target.firstElementChild.open = !e.target.firstElementChild.open; }
  });

  function copied(button, text) {
    button.textContent = 'copied';
    say.textContent = 'Copied: ' + text;
    setTimeout(function () { button.textContent = 'copy'; }, 1500);
  }
  function byHand(text) {
    var area = document.createElement('textarea');
    area.value = text;
    document.body.appendChild(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  document.addEventListener('click', function (e) {
    var button = e.target.closest('button.copy');
    if (!button) { return; }
    var text = button.getAttribute('data-copy');
    if (!navigator.clipboard) { byHand(text); copied(button, text); return; }
    navigator.clipboard.writeText(text).catch(function () { byHand(text); }).then(function () { copied(button, text); });
  });

  window.addEventListener('beforeprint', function () {
    document.querySelectorAll('details.with-print').forEach(function (d) { d.open = true; });
  });

  var live = root.getAttribute('data-live');
  if (live) {
    var source = new EventSource(live);
    source.addEventListener('run', function () { location.reload(); });
    source.onerror = function () { say.textContent = 'The server does not answer: the page is as it was.'; };
  }

  show();
})();
