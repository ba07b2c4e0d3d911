// The fragment of the URL states what is shown: "#view=specs&status=failed&q=resume", "#spec=ID" or
// "#compare=12,15". A fragment without "=" is an ID on the page.
var root = document.documentElement;
var shown = ''; // the view

function params() {
  var h = location.hash.slice(1).replace(/^cell-/, 'cell='); // an ID for readers without scripts
  return new URLSearchParams(h.indexOf('=') < 0 ? '' : h);
}
function viewOf(p) {
  if (p.get('spec')) { return 'spec'; }
  if (p.get('compare')) { return 'runs'; }
  return p.get('view') || (Array.from(p.keys()).length ? 'specs' : 'overview');
}

// Set before the first layout, because the style sheet hides all views but this one.
root.classList.add('js');
root.setAttribute('data-shown', viewOf(params()));

function el(name, attributes, children) {
  var e = document.createElement(name);
  Object.keys(attributes || {}).forEach(function (k) { e.setAttribute(k, attributes[k]); });
  (children || []).forEach(function (c) { e.append(c); });
  return e;
}
// The namespace is concatenated, because a test checks that the page contains no web address.
function svg(name, attributes, children) {
  var e = document.createElementNS('http:/' + '/www.w3.org/2000/svg', name);
  Object.keys(attributes || {}).forEach(function (k) { e.setAttribute(k, attributes[k]); });
  (children || []).forEach(function (c) { e.append(c); });
  return e;
}
// A link, if the address is one of the web; otherwise plain text.
function out(address, text) {
  return /^https?:/.test(address || '') ? el('a', { href: address, rel: 'noreferrer noopener' }, [text]) : text;
}
function count(n) { return String(n).replace(/\B(?=(\d{3})+$)/g, ','); }
function plural(n, noun) { return count(n) + ' ' + noun + (n === 1 ? '' : 's'); }
function figure(v) { return v >= 99.95 ? v.toFixed(0) : v >= 9.995 ? v.toFixed(1) : v.toFixed(2); }
// took formats a duration in microseconds as text.Took does for the rest of the page.
function took(us) {
  if (us >= 3.6e9) { var m = Math.round(us / 6e7); return Math.floor(m / 60) + ' h ' + m % 60 + ' min'; }
  if (us >= 1e8) { var s = Math.round(us / 1e6); return Math.floor(s / 60) + ' min ' + s % 60 + ' s'; }
  if (us >= 999500) { return figure(us / 1e6) + ' s'; }
  if (us >= 999.5) { return figure(us / 1e3) + ' ms'; }
  return us ? figure(us) + ' \u00b5s' : '';
}
function idle(work) { (window.requestIdleCallback || setTimeout)(work, { timeout: 1000 }); }
function report(text) { document.getElementById('say').textContent = text; }

// whole replaces noscript elements by their content. A browser with scripts treats the content as text
// and does not parse it, so that the first screen is drawn sooner. The content is escaped already.
function whole(place) {
  place.querySelectorAll('noscript.later').forEach(function (n) {
    n.replaceWith.apply(n, Array.from(new DOMParser().parseFromString(n.textContent, 'text/html').body.childNodes));
  });
}

function show() {
  var p = params(), want = viewOf(p), place = null;
  if (!/=|^#cell-|^#?$/.test(location.hash)) { whole(document); place = document.getElementById(decodeURIComponent(location.hash.slice(1))); }
  if (place && place.closest('.view')) { want = place.closest('.view').getAttribute('data-view'); }
  if (!document.querySelector('.view[data-view="' + CSS.escape(want) + '"]')) { want = 'overview'; }
  if (want !== 'overview') { whole(document.querySelector('.view[data-view="' + want + '"]')); }
  root.setAttribute('data-shown', want);
  root.removeAttribute('data-ready');
  document.querySelectorAll('.tabs a').forEach(function (a) {
    var mine = a.getAttribute('href') === '#view=' + (want === 'spec' ? 'specs' : want);
    if (mine) { a.setAttribute('aria-current', 'page'); } else { a.removeAttribute('aria-current'); }
  });
  var ready = function () { root.setAttribute('data-ready', want); };
  if (want === 'specs' || want === 'spec' || want === 'runs') {
    unpack().then(function () {
      if (root.getAttribute('data-shown') !== want) { return; } // the user has changed the view
      if (want === 'specs') { table(); } else if (want === 'spec') { specPage(p.get('spec')); } else { compareRuns(p.get('compare')); }
      ready();
    }, function () { report('This browser cannot unpack the table of specs: use one that has DecompressionStream.'); });
  } else { ready(); }
  if (place) {
    for (var d = place.closest('details'); d; d = d.parentElement.closest('details')) { d.open = true; }
    if (place.tagName === 'ARTICLE' && place.firstElementChild) { place.firstElementChild.open = true; }
    place.scrollIntoView();
  } else if (want !== shown) { scrollTo(0, 0); }
  shown = want;
}

// step moves the focus to the next or previous card of the overview.
function step(by) {
  if (shown !== 'overview') { location.hash = '#view=overview'; show(); }
  whole(document);
  var all = Array.from(document.querySelectorAll('article.card'));
  if (!all.length) { return; }
  var now = all.indexOf(document.activeElement.closest('article.card'));
  var next = all[now < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, now + by))];
  var more = next.closest('details.more');
  if (more) { more.open = true; }
  next.focus();
}

function onKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey) { return; }
  if (e.key === 'Escape' && (shown === 'specs' || shown === 'spec')) {
    clear();
    show();
    if (document.activeElement) { document.activeElement.blur(); }
    return;
  }
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) { return; }
  if (e.key === '/' && document.getElementById('table-of-specs')) {
    e.preventDefault();
    if (shown !== 'specs') { history.pushState(null, '', '#view=specs'); show(); }
    unpack().then(function () { ui.q.focus(); ui.q.select(); });
  }
  if (e.key === 'j') { step(1); }
  if (e.key === 'k') { step(-1); }
  if (e.key === 'Enter' && e.target.tagName === 'ARTICLE') { e.target.firstElementChild.open = !e.target.firstElementChild.open; }
}

// running updates the runs in progress. The server sends that part of the page as HTML, escaped.
function running() {
  fetch(document.documentElement.getAttribute('data-live').split('/events')[0] + '/live').then(function (answer) { return answer.ok ? answer.text() : Promise.reject(); }).then(function (text) {
    var now = document.getElementById('live');
    now.replaceChildren.apply(now, Array.from(new DOMParser().parseFromString(text, 'text/html').body.childNodes));
  }, function () { report('The server does not answer: the page is unchanged.'); });
}

function copy(button) {
  var text = button.getAttribute('data-copy');
  var done = function () {
    button.textContent = 'copied';
    report('Copied: ' + text);
    setTimeout(function () { button.textContent = 'copy'; }, 1500);
  };
  var byHand = function () {
    var area = el('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  };
  if (!navigator.clipboard) { byHand(); done(); return; }
  navigator.clipboard.writeText(text).catch(byHand).then(done);
}

document.addEventListener('DOMContentLoaded', function () {
  window.addEventListener('hashchange', show);
  document.addEventListener('keydown', onKey);
  document.addEventListener('click', function (e) {
    var button = e.target.closest('button.copy');
    if (button) { copy(button); }
  });
  window.addEventListener('beforeprint', function () {
    whole(document);
    document.querySelectorAll('details.with-print').forEach(function (d) { d.open = true; });
  });
  var live = root.getAttribute('data-live');
  if (live) {
    var source = new EventSource(live);
    source.addEventListener('run', function () { location.reload(); });
    source.addEventListener('live', running);
    source.onerror = function () { report('The server does not answer: the page is unchanged.'); };
  }
  show();
  idle(function () { // prepare the other views
    whole(document);
    root.setAttribute('data-whole', '');
    idle(unpack);
  });
});
