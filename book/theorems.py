"""The list of all statements of the book, each with its number and its title.

``{theorem-index}`` is a place that is filled when its page is written, from all pages as they are
then, so the list is complete. Whenever a page is read, all pages are written (`repeatable`), so an
incremental build has the same list.
"""

from collections import Counter

from docutils import nodes
from docutils.parsers.rst import Directive

from .counts import numbered


class Statements(nodes.General, nodes.Element):
    """Where the list comes."""


def setup(app):
    app.add_node(Statements)
    app.add_directive("theorem-index", TheoremIndex)
    app.connect("doctree-resolved", fill)


class TheoremIndex(Directive):
    def run(self):
        return [Statements()]


def fill(app, doctree, page):
    for place in list(doctree.findall(Statements)):
        place.replace_self(index(app, page))


def index(app, page):
    """A sentence with the numbers of each kind, then a list for each page that states anything."""
    by_page = {name: found for name in pages(app.env) if (found := statements(app.env, name))}
    lists = []
    for name, found in by_page.items():
        address = app.builder.get_relative_uri(page, name)
        heading = nodes.reference("", title(app.env, name), refuri=address, internal=True)
        items = (item(app.env, name, address, node) for node in found)
        lists += [nodes.rubric("", "", heading, level=2), nodes.bullet_list("", *items)]
    return [nodes.paragraph("", census(by_page)), *lists]


def pages(env):
    """Names of the pages, in the order of the table of contents."""
    found, waiting = [], [env.config.root_doc]
    while waiting:
        name = waiting.pop(0)
        found.append(name)
        waiting = env.toctree_includes.get(name, []) + waiting
    return found


def statements(env, page):
    """What a page states: the nodes of sphinx-proof that have a number, in order."""
    if page not in {entry["docname"] for entry in numbered(env)}:
        return []  # asked first because loading a page takes long
    labels = {entry["label"] for entry in numbered(env)}
    found = env.get_doctree(page).findall(nodes.Element)
    return [node for node in found if "realtype" in node and node["label"] in labels]


def title(env, name):
    """``3. Periodic orbits and chaos``, or the title alone where chapters have no numbers."""
    number = env.toc_secnumbers.get(name, {}).get("", ())
    return "".join(f"{part}." for part in number) + " " * bool(number) + env.titles[name].astext()


def item(env, name, address, node):
    """``Theorem 3.1`` as a link, and the title of the theorem as its own page has it."""
    label = node["label"]
    number = ".".join(map(str, env.toc_fignumbers[name][node["countertype"]][label]))
    words = f"{node['realtype'].title()} {number}"
    link = nodes.reference("", words, refuri=f"{address}#{label}", internal=True)
    heading = [child.deepcopy() for child in node[0].children]
    return nodes.list_item("", nodes.paragraph("", "", link, *heading))


def census(by_page):
    """``5 statements on 2 pages: 3 theorems and 2 lemmas.``"""
    kinds = Counter(node["realtype"] for found in by_page.values() for node in found)
    ordered = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    words = [count(number, kind) for kind, number in ordered] or ["nothing yet"]
    listed = " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
    return f"{count(kinds.total(), 'statement')} on {count(len(by_page), 'page')}: {listed}."


def count(number, word):
    """
    >>> count(1, "lemma"), count(2, "corollary")
    ('1 lemma', '2 corollaries')
    """
    plural = word[:-1] + "ies" if word.endswith("y") else word + "s"
    return f"{number} {word if number == 1 else plural}"
