"""Hydrogen, a web client that others wrote: its package from npm, served as a page on loopback."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

__all__ = ["PACKAGES", "hydrogen"]

#: What `npm ci` installs, where there is npm.
PACKAGES: Final = Path(__file__).parent / "npm" / "node_modules"

#: What Hydrogen imports, and where it is. A browser knows nothing of CommonJS: see `_module`.
_IMPORTS: Final = {
    "hydrogen-view-sdk": "/packages/hydrogen-view-sdk/lib-build/hydrogen.es.js",
    "dompurify": "/packages/dompurify/dist/purify.es.js",
    "another-json": "/common/another-json/another-json.js",
    "base64-arraybuffer": "/common/base64-arraybuffer/lib/base64-arraybuffer.js",
    "off-color": "/common/off-color/cjs/index.js",
    "@matrix-org/olm/olm.js": "/common/@matrix-org/olm/olm.js",
}
_PAGE: Final = """\
<!doctype html>
<html>
<head>
<meta charset="utf-8">
<title>Hydrogen</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/theme-element-light.css">
<script type="importmap">{{"imports": {imports}}}</script>
</head>
<body id="app" class="hydrogen">
<script type="module">
import {{ FeatureSet, Platform, RootViewModel }} from "hydrogen-view-sdk";
import {{ createNavigation, createRouter }} from "hydrogen-view-sdk";
const assetPaths = {{
    downloadSandbox: "/assets/download-sandbox.html",
    worker: "/assets/main.js",
    olm: {{
        wasm: "/packages/@matrix-org/olm/olm.wasm",
        legacyBundle: "/packages/@matrix-org/olm/olm_legacy.js",
        wasmBundle: "/packages/@matrix-org/olm/olm.js",
    }},
    serviceWorker: "/sw.js",
}};
const config = {{ defaultHomeServer: {homeserver} }};
const platform = new Platform({{ container: document.body, assetPaths, config, options: {{}} }});
await platform.init();
const features = await FeatureSet.load(platform.settingsStorage);
const navigation = createNavigation();
platform.setNavigation(navigation);
const urlRouter = createRouter({{ navigation, history: platform.history }});
urlRouter.attach();
const root = new RootViewModel({{ platform, urlRouter, navigation, features }});
platform.createAndMountRootView(root);
root.load();
</script>
</body>
</html>
"""


@asynccontextmanager
async def hydrogen(homeserver: str) -> AsyncIterator[str]:
    """Serve Hydrogen for people of *homeserver*; give the page's address."""

    async def page(_request: web.Request) -> web.Response:
        imports, url = json.dumps(_IMPORTS), json.dumps(homeserver)
        return web.Response(
            text=_PAGE.format(imports=imports, homeserver=url), content_type="text/html"
        )

    application = web.Application()
    application.router.add_get("/", page)
    application.router.add_get("/sw.js", _service_worker)
    application.router.add_get("/common/{path:.+}", _module)
    application.router.add_static("/packages", PACKAGES)
    assets = PACKAGES / "hydrogen-view-sdk" / "asset-build" / "assets"
    application.router.add_static("/assets", assets)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()


async def _service_worker(_request: web.Request) -> web.FileResponse:
    """Return what stands between Hydrogen and media; a browser wants it at the top."""
    return web.FileResponse(PACKAGES / "hydrogen-view-sdk" / "lib-build" / "sw.js")


async def _module(request: web.Request) -> web.Response:
    """Return a CommonJS module as a module of JavaScript."""
    source = (PACKAGES / request.match_info["path"]).read_text()
    text = f"const module = {{exports: {{}}}}; const exports = module.exports;\n{source}\n"
    return web.Response(
        text=f"{text};export default module.exports;", content_type="text/javascript"
    )
