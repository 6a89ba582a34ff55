"""How soon do the alerts say that something is wrong, how soon that it is over, and how often for nothing?"""
