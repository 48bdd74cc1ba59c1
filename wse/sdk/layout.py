"""SdkLayout (in work)."""

Color = Edge = Route = RoutingPosition = SdkLayout = SdkTarget = SimfabConfig = get_edge_routing = get_platform = None
