"""One module and one YAML file per project; other folders named ``projects`` on the path join in."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
