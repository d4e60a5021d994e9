"""One HTML file that needs nothing else: a module and a template for every section. Needs jinja2 and matplotlib."""
