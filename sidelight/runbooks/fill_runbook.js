// Queries of a runbook name an example service. This puts the alert's labels, from the page's address, in its place.
const EXAMPLES = { job: 'shop', queue: 'emails', path: '/data', workflow: 'invoice_import' };

function filled(query, labels, identity) {
  return query.replace(/\b(job|queue|path|workflow)(=~?|!=)"([^"]*)"/g, (whole, name, operator, example) => {
    if (example !== EXAMPLES[name] || !(name in labels)) return whole;
    const more = name === 'job' && operator === '=' ? identity.filter((label) => labels[label]) : [];
    return [`${name}${operator}${JSON.stringify(labels[name])}`, ...more.map((label) => `${label}=${JSON.stringify(labels[label])}`)].join(', ');
  });
}

if (typeof document !== 'undefined') {
  const labels = Object.fromEntries(new URLSearchParams(location.search));
  const identity = JSON.parse(document.body.dataset.identity);
  for (const code of document.querySelectorAll('pre code')) code.textContent = filled(code.textContent, labels, identity);
  const said = Object.entries(labels).map(([name, value]) => `${name}: ${value}`).join(', ');
  const about = document.getElementById('about');
  about.hidden = !said;
  about.textContent = said;
  // A link to another runbook is about the same service.
  for (const link of document.querySelectorAll('a[href$=".html"]')) link.search = location.search;
} else {
  module.exports = { filled };
}
