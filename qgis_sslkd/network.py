"""The network as QGIS is told to use it: its proxy, its certificates."""

from __future__ import annotations

from urllib.parse import quote

from qgis.core import QgsBlockingNetworkRequest, QgsNetworkAccessManager, QgsProcessingFeedback
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkProxyQuery, QNetworkRequest

from .errors import Cancelled, PluginError
from .resources import tr

_SCHEMES = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
}


class NotFetched(PluginError):
    """Raised when something cannot be had from the network."""


def fetch(url: str, feedback: QgsProcessingFeedback) -> bytes:
    """Return what is at an address, the way that QGIS's own requests go."""
    request = QgsBlockingNetworkRequest()
    outcome = request.get(QNetworkRequest(QUrl(url)), True, feedback)
    if feedback.isCanceled():
        raise Cancelled(tr("Cancelled."))
    if outcome != QgsBlockingNetworkRequest.ErrorCode.NoError:
        raise NotFetched(tr("{} cannot be fetched: {}").format(without_password(url), request.errorMessage()))
    return bytes(request.reply().content())


def without_password(url: str) -> str:
    """Return an address as it may be shown: an index of packages may take a password in it."""
    return QUrl(url).toDisplayString()


def proxy_variables(url: str) -> dict[str, str]:
    """Return the environment variables that make other programs use the proxy that QGIS uses for an address."""
    manager = QgsNetworkAccessManager.instance()
    for proxy in manager.proxyFactory().queryProxy(QNetworkProxyQuery(QUrl(url))):
        scheme = _SCHEMES.get(proxy.type())
        if scheme:
            address = f"{scheme}://{_credentials(proxy)}{proxy.hostName()}:{proxy.port()}"
            spared = [QUrl(each).host() or each for each in [*manager.noProxyList(), *manager.excludeList()]]
            names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
            return {**dict.fromkeys(names, address), "NO_PROXY": ",".join(spared)}
    return {}


def _credentials(proxy: QNetworkProxy) -> str:
    if not proxy.user():
        return ""
    return f"{quote(proxy.user(), safe='')}:{quote(proxy.password(), safe='')}@"
